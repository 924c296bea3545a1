//! `deploy/countersign.service`: systemd finds no fault with it, and finds it well shut in.

use std::fs;
use std::path::Path;
use std::process::Command;

/// What docs/deploy.md says, in tenths: systemd calls up to 1.9 well, and 10 is a service with no sandbox at all.
const EXPOSURE: &str = "13";

#[test]
fn the_unit_holds_and_is_as_shut_in_as_the_manual_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(root.join("deploy/countersign.service")).expect("there");
    let installed = "/usr/local/bin/countersign";
    assert!(text.contains(&format!("ExecStart={installed} serve --config ")), "{text}");
    let folder = tempfile::tempdir().expect("a folder");
    let unit = folder.path().join("countersign.service");
    fs::write(&unit, text.replace(installed, env!("CARGO_BIN_EXE_countersign"))).expect("written");
    let (verified, said) = analyze(&["verify", "--man=no"], &unit);
    assert!(verified && said.is_empty(), "{said}");
    let (shut_in, said) = analyze(&["security", "--offline=yes", "--no-pager", "--threshold", EXPOSURE], &unit);
    assert!(shut_in, "{said}");
    let manual = fs::read_to_string(root.join("docs/deploy.md")).expect("there");
    let (whole, tenths) = EXPOSURE.split_at(1);
    assert!(manual.contains(&format!("exposure level {whole}.{tenths}")), "docs/deploy.md says another number");
}

/// Whether it finds nothing to say against `unit`, and what it says.
fn analyze(arguments: &[&str], unit: &Path) -> (bool, String) {
    let output = Command::new("systemd-analyze").args(arguments).arg(unit).output();
    let output = output.expect("systemd-analyze is there: Debian's package systemd");
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).trim().to_owned())
}
