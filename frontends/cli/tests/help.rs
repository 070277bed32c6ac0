//! Help: examples, man pages, completion.

#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

mod run;

use run::Workdir;

#[test]
fn help_has_examples_and_man_pages_the_same() {
    let work = Workdir::new();
    let help = String::from_utf8(work.ok(&["copy", "--help"]).stdout).unwrap();
    let example = "longshore copy docker://debian:13 oci-archive:debian.tar";
    assert!(help.contains("Examples:\n") && help.contains(example) && help.contains("Exit codes:"), "{help}");
    work.ok(&["man", "pages"]);
    let first = String::from_utf8(work.read("pages/longshore.1")).unwrap();
    assert!(first.contains("longshore\\-copy(1)") || first.contains("longshore\\-copy"), "{first}");
    let page = String::from_utf8(work.read("pages/longshore-copy.1")).unwrap();
    assert!(page.contains(".TH") && page.replace("\\-", "-").contains(example), "{page}");
    for name in ["longshore-export.1", "longshore-index-create.1", "longshore-inspect.1"] {
        assert!(work.path("pages").join(name).is_file(), "{name}");
    }
}

#[test]
fn completion_knows_all_commands() {
    let work = Workdir::new();
    for shell in ["bash", "zsh", "fish"] {
        let script = String::from_utf8(work.ok(&["completion", shell]).stdout).unwrap();
        assert!(["pull", "copy", "rebase", "man"].iter().all(|word| script.contains(word)), "{shell}");
    }
}

#[test]
fn nothing_on_standard_input_is_said() {
    let work = Workdir::new();
    for arguments in [&["load"][..], &["inspect", "-"], &["login", "r.example", "-u", "u", "--password-stdin"]] {
        let ran = work.run(arguments);
        assert!(matches!(ran.code, Some(2 | 3)), "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains("standard input") || ran.stderr.contains("empty"), "{arguments:?}: {}", ran.stderr);
    }
}
