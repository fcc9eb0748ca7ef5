//! `cargo xtask openapi`: the document that is checked in, written from the routes.

use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::workspace::{cargo, root};

const FILE: &str = "openapi/openapi.json";

#[derive(clap::Args)]
pub(crate) struct Args {
    /// Compare only: fail when the file is not what the routes say.
    #[arg(long)]
    check: bool,
}

/// Asks the API program for its document and writes or compares it.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut command = cargo(&["run", "--quiet", "--package", "baton", "--bin", "baton-api", "--", "openapi"]);
    let output = command.stderr(Stdio::inherit()).output().context("cannot run cargo")?;
    if !output.status.success() {
        bail!("baton-api openapi failed ({})", output.status);
    }
    let printed = String::from_utf8(output.stdout).context("the document is not UTF-8")?;
    serde_json::from_str::<serde_json::Value>(&printed).context("the document is not JSON")?;
    let document = format!("{}\n", printed.trim_end());
    let path = root().join(FILE);
    if args.check {
        let saved = fs::read_to_string(&path).with_context(|| format!("cannot read {FILE}"))?;
        return compare(&saved, &document);
    }
    fs::create_dir_all(path.parent().unwrap_or(&path))?;
    fs::write(&path, document).with_context(|| format!("cannot write {FILE}"))?;
    eprintln!("wrote {FILE}");
    Ok(())
}

fn compare(saved: &str, document: &str) -> Result<()> {
    if saved == document {
        return Ok(());
    }
    let same = saved.lines().zip(document.lines()).take_while(|(old, new)| old == new).count();
    let line = |text: &str| text.lines().nth(same).unwrap_or("the end of the file").trim().to_owned();
    bail!("{FILE}:{}: the file says `{}`, the routes say `{}`; run `cargo xtask openapi`", same + 1, line(saved), line(document))
}

#[cfg(test)]
mod tests {
    use super::compare;

    #[test]
    fn the_first_line_that_differs_is_named() {
        assert!(compare("{\n}\n", "{\n}\n").is_ok());
        let error = compare("{\n  \"a\": 1\n}\n", "{\n  \"a\": 2\n}\n").unwrap_err().to_string();
        assert!(
            error.contains("openapi.json:2") && error.contains("\"a\": 1") && error.contains("cargo xtask openapi"),
            "{error}"
        );
        assert!(compare("{\n", "{\n}\n").unwrap_err().to_string().contains("the end of the file"));
    }
}
