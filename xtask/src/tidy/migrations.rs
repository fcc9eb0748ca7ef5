//! Both databases have the same migrations.

use std::collections::BTreeSet;

use super::Finding;

pub(super) fn check(postgres: &BTreeSet<String>, sqlite: &BTreeSet<String>) -> Vec<Finding> {
    let lacks = |side: &str, other: &str, names: BTreeSet<&String>| -> Vec<Finding> {
        let message = format!("has no file of this name in migrations/{other}; the two sides go hand in hand");
        names.into_iter().map(|name| Finding::new(&format!("migrations/{side}/{name}"), 1, message.clone())).collect()
    };
    let mut findings = lacks("postgres", "sqlite", postgres.difference(sqlite).collect());
    findings.extend(lacks("sqlite", "postgres", sqlite.difference(postgres).collect()));
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_on_one_side_only_is_found() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(check(&names(&["1_a.sql"]), &names(&["1_a.sql"])), []);
        let found: Vec<_> =
            check(&names(&["1_a.sql", "2_b.sql"]), &names(&["1_a.sql", "2_c.sql"])).into_iter().map(|f| f.file).collect();
        assert_eq!(found, ["migrations/postgres/2_b.sql", "migrations/sqlite/2_c.sql"]);
    }
}
