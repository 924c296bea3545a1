//! [`Ran`]: `conformance run`, and what it said.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::fake::Fake;

/// A folder with configurations and exceptions, for runs against a fake.
pub(crate) struct Place(TempDir);

/// A run that has ended.
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) table: String,
    pub(crate) said: String,
}

impl Place {
    /// With a configuration for each of `plans`, which has an alias or not, and no exceptions.
    pub(crate) fn new(plans: &[(&str, Option<&str>)]) -> Self {
        let place = Self(tempfile::tempdir().expect("a folder"));
        fs::create_dir(place.path("configs")).expect("a folder");
        fs::create_dir(place.path("expected")).expect("a folder");
        for (plan, alias) in plans {
            let configuration = alias.map_or_else(|| "{}".to_owned(), |alias| format!("{{\"alias\": \"{alias}\"}}"));
            fs::write(place.path(&format!("configs/{plan}.json")), configuration).expect("written");
        }
        place
    }

    /// A file or folder in it.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Makes exceptions for a plan.
    pub(crate) fn expect(&self, plan: &str, exceptions: &str) {
        fs::write(self.path(&format!("expected/{plan}.toml")), exceptions).expect("written");
    }

    /// Starts a run of `plans`, which is kept.
    pub(crate) fn start(&self, fake: &Fake, (plans, more): (&[&str], &[&str])) -> Child {
        let report = self.path("report");
        self.begin(fake, (plans, &[&["--report", report.to_str().expect("UTF-8")], more].concat()))
    }

    /// Runs `plans`, which is not kept unless `more` says so.
    pub(crate) async fn run_without_report(&self, fake: &Fake, (plans, more): (&[&str], &[&str])) -> Ran {
        Ran::of(self.begin(fake, (plans, more)).wait_with_output().await.expect("it ends"))
    }

    /// Starts a run against servers of its own.
    pub(crate) fn start_with_servers(&self, fake: &Fake, (plans, more): (&[&str], &[&str])) -> Child {
        let mut command = self.command(fake, plans);
        command.args(more).spawn().expect("it runs")
    }

    fn begin(&self, fake: &Fake, (plans, more): (&[&str], &[&str])) -> Child {
        let mut command = self.command(fake, plans);
        command.arg("--configs").arg(self.path("configs")).args(more).spawn().expect("it runs")
    }

    fn command(&self, fake: &Fake, plans: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_conformance"));
        command.args(["run", "--suite", &fake.url, "--expected"]).arg(self.path("expected"));
        for plan in plans {
            command.args(["--plan", plan]);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        command
    }

    /// Runs `plans`.
    pub(crate) async fn run(&self, fake: &Fake, (plans, more): (&[&str], &[&str])) -> Ran {
        Ran::of(self.start(fake, (plans, more)).wait_with_output().await.expect("it ends"))
    }

    /// What was kept of the run.
    pub(crate) fn kept(&self) -> Value {
        serde_json::from_str(&read(&self.path("report/run.json"))).expect("JSON")
    }
}

impl Ran {
    pub(crate) fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        Self { code: output.status.code(), table: text(output.stdout), said: text(output.stderr) }
    }

    /// The numbers in the row of `plan`: passed, warning, review, skipped, failed.
    pub(crate) fn row(&self, plan: &str) -> Vec<usize> {
        let row = self.table.lines().find(|line| line.starts_with(&format!("{plan} ")));
        let row = row.unwrap_or_else(|| panic!("no row for {plan}:\n{}\n{}", self.table, self.said));
        row.split_whitespace().skip(1).take(5).map(|cell| cell.parse().expect("a number")).collect()
    }
}

/// The text of a file.
pub(crate) fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
