//! The house keeps its shape: imports point down, crypto stays in its room, no file grows past 400 lines.

use std::fs;
use std::path::{Path, PathBuf};

/// From the roof to the ground. A module may import from those below it and from its own.
const LINE: [&[&str]; 14] = [
    &["cli"],
    &["config"],
    &["http"],
    &["endpoint"],
    &["store"],
    &["grant"],
    &["profile"],
    &["outbound"],
    &["keys"],
    &["jose"],
    &["wire"],
    &["audit"],
    &["telemetry"],
    &["error", "secret", "clock", "current"],
];

/// Which files may name which crates.
const ROOMS: [(&str, &[&str]); 8] = [
    ("josekit", &["src/jose/"]),
    ("aws_lc_rs", &["src/jose/", "src/secret.rs"]),
    ("reqwest", &["src/outbound/mod.rs", "src/outbound/guard.rs"]),
    ("x509_parser", &["src/http/tls.rs"]),
    ("redis", &["src/store/redis/"]),
    ("opentelemetry", &["src/telemetry/"]),
    ("tracing_opentelemetry", &["src/telemetry/"]),
    ("prometheus", &["src/telemetry/metrics.rs"]),
];

const FORBIDDEN_NAMES: [&str; 6] = ["utils", "common", "helpers", "types", "manager", "service"];

fn sources(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("readable").path();
            match (path.is_dir(), path.extension().is_some_and(|ending| ending == "rs")) {
                (true, _) => walk(&path, found),
                (false, true) => found.push(path),
                (false, false) => {}
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join(folder), &mut found);
    assert!(!found.is_empty(), "{folder} has no source");
    let name = |path: &Path| path.strip_prefix(root).expect("below the root").to_str().expect("UTF-8").to_owned();
    found.iter().map(|path| (name(path), fs::read_to_string(path).expect("UTF-8"))).collect()
}

fn rank(module: &str) -> Option<usize> {
    LINE.iter().position(|level| level.contains(&module))
}

/// The first segment of every `crate::…` path in `text`.
fn imports(text: &str) -> impl Iterator<Item = &str> {
    text.split("crate::")
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default())
}

/// Whether `line` has a path that begins with `crate_name`.
fn names(line: &str, crate_name: &str) -> bool {
    line.match_indices(&format!("{crate_name}::")).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || c == '_' || c == ':'))
    })
}

#[test]
fn imports_point_down_the_line() {
    for (name, text) in sources("src") {
        let module = name.trim_start_matches("src/").split(['/', '.']).next().expect("a name").to_owned();
        if module == "lib" || module == "main" {
            continue;
        }
        let here = rank(&module).unwrap_or_else(|| panic!("{name}: {module} is not in the line of ARCHITECTURE.md"));
        assert!(!text.contains("crate::{"), "{name}: one `use` a path, so that this test can read it");
        for import in imports(&text) {
            let there = rank(import).unwrap_or_else(|| panic!("{name}: crate::{import} is not in the line"));
            assert!(there > here || import == module, "{name} imports crate::{import}, which lies above it");
        }
    }
}

#[test]
fn the_line_is_the_one_that_architecture_md_shows() {
    let architecture =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("ARCHITECTURE.md")).expect("it is there");
    let levels: Vec<String> = LINE
        .iter()
        .map(|level| if level.len() == 1 { level[0].to_owned() } else { format!("{{ {} }}", level.join("  ")) })
        .collect();
    assert!(architecture.contains(&format!("main → {}", levels.join(" → "))));
}

#[test]
fn each_crate_that_needs_watching_stays_in_its_room() {
    for (name, text) in sources("src") {
        for (crate_name, rooms) in ROOMS {
            let named =
                text.lines().filter(|line| !line.trim_start().starts_with("//")).any(|line| names(line, crate_name));
            assert!(!named || rooms.iter().any(|room| name.starts_with(room)), "{name} names {crate_name}");
        }
    }
}

#[test]
fn files_stay_small_and_say_what_they_are() {
    for (name, text) in ["src", "tests", "examples", "bench/src"].into_iter().flat_map(sources) {
        let lines = text.lines().count();
        assert!(lines <= 400, "{name} has {lines} lines");
        let compile_fail_case = name.starts_with("tests/ui/");
        assert!(compile_fail_case || text.starts_with("//! "), "{name} does not say what it is");
        assert!(
            !FORBIDDEN_NAMES.iter().any(|word| name.split(['/', '.']).any(|part| part == *word)),
            "{name} has a name that says nothing"
        );
    }
}
