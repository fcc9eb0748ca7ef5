//! Files that are not run, and why: said when a handler is saved, and again at each run.

use std::os::unix::fs::symlink;

use baton_domain::Verdict;

use super::*;

const OK: &str = "#!/bin/sh\nexit 0\n";

impl Scripts {
    /// Inspects and runs a script that is not to be run. The parts are to be in both sentences.
    async fn refused(&self, name: &str, verdict: Verdict, parts: &[&str]) {
        let errors = self.caller.inspect(&task(name, &[])).await.0;
        let [error] = &errors[..] else { panic!("{name}: {errors:?}") };
        assert_eq!(error.field, "task.path");
        let outcome = self.run(name, &[], AMPLE).await;
        assert_eq!((outcome.verdict, &outcome.response), (verdict, &None), "{name}");
        assert_eq!(outcome.error.as_deref(), Some(error.message.as_str()));
        for part in parts.iter().chain([&name]) {
            assert!(error.message.contains(part), "{part:?} is not in: {}", error.message);
        }
    }

    async fn retried(&self, name: &str, parts: &[&str]) {
        self.refused(name, Verdict::Retry { after: None }, parts).await;
    }

    async fn fails(&self, name: &str, parts: &[&str]) {
        self.refused(name, Verdict::Failed, parts).await;
    }

    fn root(&self) -> &str {
        self.folder.path().to_str().unwrap()
    }
}

#[tokio::test]
async fn a_sound_script_passes() {
    let scripts = Scripts::new();
    for mode in [0o755, 0o700, 0o555, 0o500] {
        scripts.write("vcs/ok.sh", mode, OK);
        assert_eq!(scripts.caller.inspect(&task("vcs/ok.sh", &["a b"])).await.0, []);
        assert_eq!(scripts.run("vcs/ok.sh", &[], AMPLE).await.verdict, Verdict::Succeeded);
        fs::remove_file(scripts.path("vcs/ok.sh")).unwrap();
    }
}

#[tokio::test]
async fn without_a_root_nothing_is_run() {
    let scripts = Scripts { caller: caller(None, 1), folder: TempDir::new().unwrap() };
    let errors = scripts.caller.inspect(&task("a.sh", &[])).await.0;
    assert_eq!(errors[0].message, "no script can be run, because no script root is set; name its folder in BATON_SCRIPT_ROOT");
    let outcome = scripts.run("a.sh", &[], AMPLE).await;
    assert_eq!((outcome.verdict, outcome.error), (Verdict::Retry { after: None }, Some(errors[0].message.clone())));
}

#[tokio::test]
async fn a_root_that_is_not_there_is_refused_at_the_start_and_retried_later() {
    let folder = TempDir::new().unwrap();
    let gone = folder.path().join("gone");
    let error = Caller::new(settings(Some(gone.clone()), 1, confinement())).unwrap_err().to_string();
    assert!(error.contains("BATON_SCRIPT_ROOT") && error.contains(gone.to_str().unwrap()), "{error}");
    fs::create_dir(&gone).unwrap();
    let scripts = Scripts { caller: caller(Some(gone.clone()), 1), folder };
    fs::remove_dir(&gone).unwrap();
    let outcome = scripts.run("a.sh", &[], AMPLE).await;
    assert_eq!(outcome.verdict, Verdict::Retry { after: None });
    assert!(outcome.error.unwrap().contains("BATON_SCRIPT_ROOT"));
}

#[tokio::test]
async fn a_missing_file_is_retried() {
    let scripts = Scripts::new();
    scripts.write("file", 0o755, OK);
    for name in ["none.sh", "no/folder/a.sh", "file/a.sh"] {
        scripts.retried(name, &["does not exist", scripts.root(), "BATON_SCRIPT_ROOT"]).await;
    }
    symlink("nowhere.sh", scripts.path("dangling.sh")).unwrap();
    scripts.retried("dangling.sh", &["does not exist"]).await;
}

#[tokio::test]
async fn what_is_not_a_file_is_retried() {
    let scripts = Scripts::new();
    fs::create_dir(scripts.path("folder")).unwrap();
    chmod(&scripts.path("folder"), 0o755);
    scripts.retried("folder", &["is a folder, not a file"]).await;
    nix::unistd::mkfifo(&scripts.path("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    scripts.retried("pipe", &["is a device, pipe or socket, not a file"]).await;
}

#[tokio::test]
async fn a_file_outside_of_the_root_fails_for_good() {
    let outside = Scripts::new();
    outside.write("evil.sh", 0o755, OK);
    let evil = outside.path("evil.sh");
    let scripts = Scripts::new();
    symlink(&evil, scripts.path("link.sh")).unwrap();
    symlink(outside.folder.path(), scripts.path("folder")).unwrap();
    let up = format!("../{}/evil.sh", outside.folder.path().file_name().unwrap().to_str().unwrap());
    for name in ["link.sh", "folder/evil.sh", &up, evil.to_str().unwrap()] {
        scripts.fails(name, &["outside of the script root", evil.to_str().unwrap(), scripts.root(), "BATON_SCRIPT_ROOT"]).await;
    }
}

#[tokio::test]
async fn a_folder_whose_name_begins_like_the_root_is_outside() {
    let parent = TempDir::new().unwrap();
    let (root, neighbour) = (parent.path().join("scripts"), parent.path().join("scripts-old"));
    fs::create_dir(&root).unwrap();
    fs::create_dir(&neighbour).unwrap();
    fs::write(neighbour.join("a.sh"), OK).unwrap();
    chmod(&neighbour.join("a.sh"), 0o755);
    let scripts = Scripts { caller: caller(Some(root), 1), folder: parent };
    scripts.fails("../scripts-old/a.sh", &["outside of the script root"]).await;
}

#[tokio::test]
async fn a_file_that_others_may_write_fails_for_good() {
    let scripts = Scripts::new();
    for mode in [0o775, 0o757, 0o777] {
        scripts.write("open.sh", mode, OK);
        scripts.fails("open.sh", &["written by its group or by others", &format!("{mode:04o}"), "chmod go-w"]).await;
    }
}

#[tokio::test]
async fn a_folder_that_others_may_write_fails_for_good() {
    let scripts = Scripts::new();
    scripts.write("a/b/ok.sh", 0o755, OK);
    for (folder, mode) in [("a/b", 0o775), ("a", 0o757), ("", 0o770)] {
        let path = scripts.path(folder);
        chmod(&path, mode);
        let shown = path.canonicalize().unwrap();
        scripts.fails("a/b/ok.sh", &["the folder", shown.to_str().unwrap(), &format!("{mode:04o}"), "chmod go-w"]).await;
        chmod(&path, 0o755);
    }
    assert_eq!(scripts.run("a/b/ok.sh", &[], AMPLE).await.verdict, Verdict::Succeeded);
}

#[tokio::test]
async fn a_set_id_file_fails_for_good() {
    let scripts = Scripts::new();
    for mode in [0o4755, 0o2755] {
        scripts.write("set.sh", mode, OK);
        scripts.fails("set.sh", &["set-uid or set-gid", &format!("{mode:04o}"), "chmod ug-s"]).await;
    }
}

#[tokio::test]
async fn a_file_that_may_not_be_executed_is_retried() {
    let scripts = Scripts::new();
    scripts.write("plain.sh", 0o644, OK);
    scripts.retried("plain.sh", &["may not be executed", "0644", "chmod +x"]).await;
    chmod(&scripts.path("plain.sh"), 0o755);
    assert_eq!(scripts.run("plain.sh", &[], AMPLE).await.verdict, Verdict::Succeeded);
}

#[tokio::test]
async fn a_file_that_the_system_cannot_start_is_retried_and_explained() {
    let scripts = Scripts::new();
    scripts.write("text.sh", 0o755, "exit 0\n");
    scripts.retried("text.sh", &["does not begin with a line such as #!"]).await;
    scripts.write("empty.sh", 0o755, "");
    scripts.retried("empty.sh", &["does not begin with a line such as #!"]).await;
    scripts.write("broken.py", 0o755, "#!/no/such/python3 -u\n");
    scripts.retried("broken.py", &["the interpreter /no/such/python3", "first line"]).await;
    scripts.write("windows.py", 0o755, "#!/usr/bin/env python3\r\nprint(1)\r\n");
    scripts.retried("windows.py", &["carriage return", "line ends"]).await;
}

#[tokio::test]
async fn what_only_the_system_finds_out_is_explained_at_the_run() {
    let scripts = Scripts::new();
    scripts.write("foreign", 0o755, b"\0\x01\x02 no program of this system");
    assert_eq!(scripts.caller.inspect(&task("foreign", &[])).await.0, []);
    let outcome = scripts.run("foreign", &[], AMPLE).await;
    assert_eq!(outcome.verdict, Verdict::Retry { after: None });
    assert!(outcome.error.unwrap().contains("does not know how to run it"));
    scripts.write("chain-end", 0o755, "#!/no/such/program\n");
    let end = scripts.path("chain-end");
    scripts.write("chain.sh", 0o755, format!("#!{}\n", end.display()));
    let outcome = scripts.run("chain.sh", &[], AMPLE).await;
    assert_eq!(outcome.verdict, Verdict::Retry { after: None });
    assert_eq!(outcome.error.unwrap(), "the interpreter of chain.sh does not exist; look at its first line");
}

#[tokio::test]
async fn arguments_that_no_program_can_get_are_said() {
    let scripts = Scripts::new();
    scripts.write("ok.sh", 0o755, OK);
    let errors = scripts.caller.inspect(&task("ok.sh", &["a\0b"])).await.0;
    assert_eq!(errors.iter().map(|e| e.field.as_str()).collect::<Vec<_>>(), ["task.args"]);
    let outcome = scripts.run("ok.sh", &["a\0b"], AMPLE).await;
    assert!(outcome.error.unwrap().contains("ok.sh could not be started"));
}
