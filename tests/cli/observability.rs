//! What ships in deploy/observability: held against the metrics that there are, against docs/telemetry.md and docs/operations.md, and against a real Prometheus.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::deployment::{Deployment, shipped};
use crate::server::free_port;
use crate::serving::{Serving, sooner_or_later};

const RULES: &str = "deploy/observability/countersign.rules.yml";
const ALERTS: &str = include_str!("alerts.yml");

fn text(path: &str) -> String {
    fs::read_to_string(shipped(path)).expect("it ships")
}

/// Runs `promtool` in `folder`; it has to be content.
#[track_caller]
fn promtool(folder: &Path, arguments: &[&str]) {
    let output = Command::new("promtool").current_dir(folder).args(arguments).output().expect("./test installs it");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&said));
}

/// What follows `key: ` in the rules, in their order.
fn values(rules: &str, key: &str) -> Vec<String> {
    let found = rules.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix(key));
    found.map(|value| value.trim().to_owned()).collect()
}

/// The names of all metrics in the source: string literals that are names of instruments.
fn instruments() -> BTreeSet<String> {
    let files = ["src/telemetry/metrics.rs", "src/cli/gauges.rs"].map(text);
    let literals = files.iter().flat_map(|file| file.split('"').skip(1).step_by(2).map(str::to_owned));
    let ours = |name: &String| {
        let known = ["countersign.", "http.server.", "db.client."].iter().any(|prefix| name.starts_with(prefix));
        known && !name.contains(' ')
    };
    literals.filter(ours).collect()
}

/// What a metric of docs/telemetry.md is called here and there, by the first two columns of the table.
fn documented() -> Vec<(String, String)> {
    let names = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split('|').map(|cell| cell.trim().trim_matches('`').to_owned());
        Some((cells.next()?, cells.next()?)).filter(|(_, exposed)| exposed.contains('_'))
    };
    text("docs/telemetry.md").lines().filter_map(names).collect()
}

/// The names in `expression` that could be those of metrics.
fn named(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let ours =
        |word: &&str| ["countersign_", "http_server_", "db_client_"].iter().any(|prefix| word.starts_with(prefix));
    let family = |word: &str| {
        let ends = ["_bucket", "_count", "_sum"];
        ends.iter().find_map(|end| word.strip_suffix(end)).unwrap_or(word).to_owned()
    };
    words.filter(ours).map(family).collect()
}

fn expressions() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&text("deploy/observability/dashboard.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").clone();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().expect("targets").clone());
    let expressions: Vec<String> = targets.map(|target| target["expr"].as_str().expect("text").to_owned()).collect();
    assert!(expressions.len() >= 20, "{expressions:?}");
    expressions
}

#[test]
fn every_metric_is_in_the_manual_and_nothing_else_is() {
    let documented = documented();
    let names: BTreeSet<String> = documented.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(names, instruments());
    for (name, exposed) in documented {
        assert!(exposed.starts_with(&name.replace('.', "_")), "{name} is {exposed}");
    }
}

#[test]
fn alerts_and_dashboard_look_at_metrics_that_there_are() {
    let exposed: BTreeSet<String> = documented().into_iter().map(|(_, exposed)| exposed).collect();
    let looked_at: BTreeSet<String> = expressions().iter().flat_map(|expression| named(expression)).collect();
    assert!(looked_at.is_subset(&exposed), "{:?}", looked_at.difference(&exposed));
    assert_eq!(looked_at, exposed, "the dashboard shows all of them");
    let rules = named(&text(RULES));
    assert!(rules.is_subset(&exposed), "{:?}", rules.difference(&exposed));
}

#[test]
fn promtool_is_content_and_each_alert_goes_off_when_it_should() {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, content: &str| fs::write(folder.path().join(name), content).expect("written");
    write("countersign.rules.yml", &text(RULES));
    write("prometheus.yml", &text("deploy/observability/prometheus.yml"));
    write("alerts.yml", ALERTS);
    promtool(folder.path(), &["check", "config", "prometheus.yml", "--syntax-only"]);
    promtool(folder.path(), &["check", "rules", "countersign.rules.yml"]);
    promtool(folder.path(), &["test", "rules", "alerts.yml"]);
    let alerts = values(&text(RULES), "alert:");
    assert!(alerts.len() >= 14, "{alerts:?}");
    for alert in &alerts {
        assert!(
            ALERTS.contains(&format!("alertname: {alert}\n        exp_alerts:")),
            "nothing shows that {alert} goes off"
        );
    }
    let rules: Vec<String> = expressions()
        .iter()
        .enumerate()
        .map(|(at, expression)| {
            let expression = expression.replace("$__rate_interval", "5m").replace("$instance", ".*");
            format!("  - record: panel:{at}\n    expr: {}\n", Value::from(expression))
        })
        .collect();
    write("dashboard.yml", &format!("groups:\n- name: dashboard\n  rules:\n{}", rules.concat()));
    promtool(folder.path(), &["check", "rules", "dashboard.yml"]);
}

#[test]
fn each_alert_says_what_to_do() {
    let rules = text(RULES);
    let (alerts, urls) = (values(&rules, "alert:"), values(&rules, "runbook_url:"));
    assert_eq!(alerts.len(), urls.len());
    let headings: BTreeSet<String> = text("docs/operations.md")
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .map(str::to_lowercase)
        .collect();
    let told: BTreeSet<String> =
        urls.iter().map(|url| url.strip_prefix("docs/operations.md#").expect("a heading there").to_owned()).collect();
    assert_eq!(told, headings, "a heading for each, and none for what is no alert");
    for (alert, url) in alerts.iter().zip(&urls) {
        let heading = url.rsplit('#').next().expect("a heading");
        assert!(alert.to_lowercase().starts_with(heading), "{alert} leads to {url}");
    }
}

/// A Prometheus that ends with the test.
struct Prometheus {
    child: Child,
    port: u16,
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

impl Prometheus {
    /// As it ships, but for where things are, and looking once a second.
    fn of(deployment: &Deployment, serving: &Serving) -> Self {
        let folder = deployment.config().with_file_name("observability");
        fs::create_dir(&folder).expect("a folder");
        fs::write(folder.join("countersign.rules.yml"), text(RULES)).expect("written");
        fs::copy(deployment.certs().join("ca.pem"), folder.join("ca.pem")).expect("copied");
        let config = text("deploy/observability/prometheus.yml").replace("interval: 15s", "interval: 1s");
        let config = config.replace("localhost:9444", &format!("localhost:{}", serving.internal));
        fs::write(folder.join("prometheus.yml"), config).expect("written");
        let port = free_port();
        let listen = format!("--web.listen-address=127.0.0.1:{port}");
        let arguments = ["--config.file=prometheus.yml", "--storage.tsdb.path=data", &listen, "--log.level=error"];
        let mut command = Command::new("prometheus");
        let child = command.current_dir(&folder).args(arguments).stdin(Stdio::null()).spawn();
        Self { child: child.expect("./test installs it"), port }
    }

    /// What `path` answers, once it does.
    fn ask(&self, path: &str) -> Option<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (_, body) = answer.split_once("\r\n\r\n")?;
        serde_json::from_str(body).ok()
    }

    /// The value of `query` at this moment, of which there is one.
    fn value(&self, query: &str) -> Option<String> {
        let answer = self.ask(&format!("/api/v1/query?query={query}"))?;
        answer["data"]["result"][0]["value"][1].as_str().map(str::to_owned)
    }
}

#[test]
fn a_real_prometheus_scrapes_the_server_and_goes_by_the_rules() {
    let deployment = Deployment::new();
    deployment.listen(("listen", 0), ("internal_listen", 0));
    deployment.edit("format = \"pretty\"", "format = \"json\"");
    let serving = Serving::start(&deployment);
    let prometheus = Prometheus::of(&deployment, &serving);
    let is = |query: &str, value: &str| {
        sooner_or_later(query, || prometheus.value(query).filter(|found| found == value));
    };
    is("up", "1");
    is("countersign_ready%7Bpart=%22store%22%7D", "1");
    is("countersign_configuration_stale", "0");
    is("count(countersign_certificate_not_after_seconds)", "5");
    let rules = sooner_or_later("the rules are looked at, and nothing is wrong", || {
        let rules = prometheus.ask("/api/v1/rules")?["data"]["groups"][0]["rules"].as_array()?.clone();
        rules.iter().all(|rule| rule["health"] == "ok" && rule["state"] == "inactive").then_some(rules)
    });
    assert_eq!(rules.len(), values(&text(RULES), "alert:").len());
    deployment.append("\nstray = 1\n");
    is("countersign_configuration_stale", "1");
    is("ALERTS%7Balertstate=%22pending%22%7D", "1");
}
