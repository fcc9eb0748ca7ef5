//! Queries of addresses: built from pairs, what is empty left out.

use url::form_urlencoded::Serializer;

/// A path with these parameters; those without a value are left out.
pub(crate) fn address<'a>(path: &str, pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut query = Serializer::new(String::new());
    for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
        query.append_pair(name, value);
    }
    let query = query.finish();
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

#[cfg(test)]
mod tests {
    use super::address;

    #[test]
    fn what_is_empty_is_left_out() {
        assert_eq!(address("/a", [("q", "x & y"), ("event", ""), ("status", "enabled")]), "/a?q=x+%26+y&status=enabled");
        assert_eq!(address("/a", [("q", "")]), "/a");
    }
}
