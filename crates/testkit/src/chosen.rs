//! Which scenarios of a suite are to be run.

/// Those that are named; where none is, those that `is_usual` says. In the order of the suite.
///
/// # Errors
/// A sentence, for a name that the suite does not have.
pub fn chosen<'a, S>(
    all: &'a [S],
    only: &[String],
    name: impl Fn(&S) -> &str,
    is_usual: impl Fn(&S) -> bool,
) -> Result<Vec<&'a S>, String> {
    if let Some(unknown) = only.iter().find(|wanted| all.iter().all(|one| name(one) != wanted.as_str())) {
        return Err(format!("there is no scenario {unknown}; --list shows all"));
    }
    let is_named = |one: &S| only.iter().any(|wanted| name(one) == wanted);
    Ok(all.iter().filter(|one| is_named(one) || only.is_empty() && is_usual(one)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_choose_and_without_them_what_is_usual() {
        let all = [("a", true), ("b", false), ("c", true)];
        let of = |only: &[&str]| {
            let only: Vec<_> = only.iter().map(|name| (*name).to_owned()).collect();
            chosen(&all, &only, |one| one.0, |one| one.1).map(|found| found.iter().map(|one| one.0).collect::<String>())
        };
        assert_eq!((of(&[]), of(&["b"]), of(&["c", "a"])), (Ok("ac".into()), Ok("b".into()), Ok("ac".into())));
        assert!(of(&["a", "d"]).unwrap_err().contains("no scenario d;"));
    }
}
