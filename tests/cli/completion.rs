//! Completions and manual pages, and the name under which kubectl finds the binary.

use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use crate::run::zonespread;

#[test]
fn every_shell_gets_a_script_that_knows_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let ran = zonespread(&["completion", shell]);
        assert!(ran.code == Some(0) && ran.err.is_empty(), "{shell}: {ran:?}");
        for command in ["status", "outlook", "ui", "completion"] {
            assert!(ran.out.contains(command), "{shell}: no {command}");
        }
    }
    let ran = zonespread(&["completion", "tcsh"]);
    assert!(ran.code == Some(2) && ran.err.contains("bash, elvish, fish"), "{ran:?}");
}

#[test]
fn bash_completes_commands_and_flags() {
    let script = zonespread(&["completion", "bash"]).out;
    let completed = |words: &[&str]| {
        let typed = words.join(" ");
        let (at, last) = (words.len() - 1, words[words.len() - 1]);
        let before = words[words.len() - 2];
        let ask = format!(
            "{script}\nCOMP_WORDS=({typed}); COMP_CWORD={at}\n_zonespread zonespread '{last}' '{before}'\nprintf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let output = Command::new("bash").args(["-c", &ask]).stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    assert_eq!(completed(&["zonespread", "out"]), "outlook\n");
    assert_eq!(completed(&["zonespread", "outlook", "--scen"]), "--scenarios\n");
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let ran = zonespread(&["man"]);
    assert!(ran.code == Some(0) && ran.err.is_empty(), "{ran:?}");
    assert!(
        ran.out.contains(".TH zonespread 1") && ran.out.contains("zonespread\\-ui(1)"),
        "{ran:?}"
    );
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    let ran = zonespread(&["man", "--directory", pages.to_str().unwrap()]);
    assert!(ran.code == Some(0) && ran.out.is_empty(), "{ran:?}");
    let page = std::fs::read_to_string(pages.join("zonespread-outlook.1")).unwrap();
    assert!(page.contains("\\-\\-scenarios"), "{page}");
    assert!(pages.join("zonespread.1").exists() && pages.join("zonespread-ui.1").exists());
}

#[test]
fn under_the_name_that_kubectl_looks_for_it_is_a_plugin() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("kubectl-zonespread");
    symlink(env!("CARGO_BIN_EXE_zonespread"), &plugin).unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(&plugin).args(arguments).env_clear().output().unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (code, help) = run(&["status", "--help"]);
    assert!(code == Some(0) && help.contains("Usage: kubectl zonespread status"), "{help}");
    let (code, told) = run(&["--version"]);
    assert_eq!((code, told), (Some(0), format!("zonespread {}\n", env!("CARGO_PKG_VERSION"))));
    assert!(zonespread(&["status", "--help"]).out.contains("Usage: zonespread status"));
}
