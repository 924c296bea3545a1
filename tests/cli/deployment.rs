//! [`Deployment`]: the configuration that ships and the files it names, in a folder of their own, for a test to break.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use countersign::outbound::{VERSIONS, provider};
use rustls::client::WantsClientCert;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use tempfile::TempDir;

/// A folder with `deploy/server.toml`, and beside it what `certs dev` made.
pub(crate) struct Deployment(TempDir);

/// What the configuration begins with in production.
pub(crate) const IN_PRODUCTION: &str = "mode = \"production\"\n[audit]\nfile = \"audit.jsonl\"\n";

impl Deployment {
    /// As it ships.
    pub(crate) fn new() -> Self {
        let deployment = Self(tempfile::tempdir().expect("a folder"));
        let made = countersign(&["certs", "dev", "--out", deployment.certs().to_str().expect("UTF-8")]);
        assert_eq!(made.status.code(), Some(0), "{}", err(&made));
        assert!(out(&made).contains("made"), "{}", out(&made));
        fs::create_dir(deployment.0.path().join("deploy")).expect("a folder");
        fs::copy(shipped("deploy/server.toml"), deployment.config()).expect("it ships");
        deployment
    }

    /// With the configuration as it ships once more, and the other files as they are.
    pub(crate) fn again(&self) -> &Self {
        fs::copy(shipped("deploy/server.toml"), self.config()).expect("it ships");
        self
    }

    /// The configuration.
    pub(crate) fn config(&self) -> PathBuf {
        self.0.path().join("deploy/server.toml")
    }

    /// Where the certificates and keys are.
    pub(crate) fn certs(&self) -> PathBuf {
        self.0.path().join("certs/dev")
    }

    /// Replaces `from`, which has to be there, once.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let text = fs::read_to_string(self.config()).expect("there");
        assert!(text.contains(from), "{from} is not in the configuration");
        fs::write(self.config(), text.replacen(from, to, 1)).expect("written");
    }

    /// Adds `text` at the end.
    pub(crate) fn append(&self, text: &str) {
        let before = fs::read_to_string(self.config()).expect("there");
        fs::write(self.config(), before + text).expect("written");
    }

    /// Listens on these ports, each under its key.
    pub(crate) fn listen(&self, one: (&str, u16), other: (&str, u16)) {
        for (key, port) in [one, other] {
            let now = if key == "listen" { 9443 } else { 9444 };
            self.edit(&format!("\n{key} = \"127.0.0.1:{now}\""), &format!("\n{key} = \"127.0.0.1:{port}\""));
        }
    }

    /// Keeps everything in the store that `lines` describe, in place of memory.
    pub(crate) fn store(&self, lines: &str) {
        self.edit("kind = \"memory\"", lines);
        self.edit("\ncapacity = 200000\n", "\n");
    }

    /// The same for a Redis, with the secret that its servers share.
    pub(crate) fn redis(&self, lines: &str) {
        self.write("sealing.key", &"0123456789abcdef".repeat(4));
        self.expose("sealing.key", 0o600);
        self.store(&format!("{}\nsealing_key = \"../certs/dev/sealing.key\"\n", lines.trim_end()));
    }

    /// Writes a file among the certificates.
    pub(crate) fn write(&self, name: &str, content: &str) {
        fs::write(self.certs().join(name), content).expect("written");
    }

    /// Reads a file among the certificates.
    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.certs().join(name)).expect("there")
    }

    /// Lets others read a file among the certificates.
    pub(crate) fn expose(&self, name: &str, mode: u32) {
        fs::set_permissions(self.certs().join(name), fs::Permissions::from_mode(mode)).expect("its owner may");
    }

    /// Has `check` look at it.
    pub(crate) fn check(&self) -> Output {
        check(&self.config())
    }

    /// Checks that `check` exits with 2 and prints exactly these faults, each as a key and a part of what is said about it.
    #[track_caller]
    pub(crate) fn has_faults(&self, faults: &[(&str, &str)]) {
        let checked = self.check();
        let said = err(&checked);
        assert_eq!(checked.status.code(), Some(2), "{said}");
        assert_eq!(out(&checked), "");
        let mut lines: Vec<&str> = said.lines().collect();
        let last = lines.pop().expect("a last line");
        for (key, part) in faults {
            let found = lines.iter().position(|line| line.starts_with(&format!("{key}: ")) && line.contains(part));
            lines.remove(found.unwrap_or_else(|| panic!("nothing about {key} and {part}:\n{said}")));
        }
        assert_eq!(lines, [""; 0], "nobody expected these");
        let s = if faults.len() == 1 { "" } else { "s" };
        assert_eq!(last, format!("{}: {} fault{s}", self.config().display(), faults.len()));
    }

    /// What discovery answers at `port`.
    pub(crate) fn discovery(&self, port: u16) -> (u16, serde_json::Value) {
        self.heard(port, "/.well-known/openid-configuration").expect("an answer")
    }

    /// What `path` answers at `port`, over a connection of its own.
    pub(crate) fn heard(&self, port: u16, path: &str) -> Option<(u16, serde_json::Value)> {
        self.text(port, path).map(|(status, text)| (status, serde_json::from_str(&text).expect("JSON")))
    }

    /// The same, as it comes.
    pub(crate) fn text(&self, port: u16, path: &str) -> Option<(u16, String)> {
        let tls = self.trusting().with_no_client_auth();
        let http = reqwest::Client::builder().tls_backend_preconfigured(tls).no_proxy().build().expect("a client");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let response = http.get(format!("https://localhost:{port}{path}")).send().await.ok()?;
            Some((response.status().as_u16(), response.text().await.ok()?))
        })
    }

    /// The TLS of whoever trusts its servers.
    pub(crate) fn trusting(&self) -> ConfigBuilder<ClientConfig, WantsClientCert> {
        let mut trust = RootCertStore::empty();
        trust.add_parsable_certificates([CertificateDer::from_pem_file(self.certs().join("ca.pem")).expect("PEM")]);
        ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(VERSIONS)
            .expect("versions and suites fit")
            .with_root_certificates(trust)
    }
}

/// Has `check` look at the file at `path`.
pub(crate) fn check(path: &Path) -> Output {
    countersign(&["check", "--config", path.to_str().expect("UTF-8")])
}

/// Runs the binary.
pub(crate) fn countersign(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_countersign")).args(arguments).output().expect("it runs")
}

/// Standard output.
pub(crate) fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

/// Standard error.
pub(crate) fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

/// A file of this repository.
pub(crate) fn shipped(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// Every file below `folder` with its content, in order.
pub(crate) fn files(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let content = fs::read(&path).expect("readable");
            found.push((path, content));
        }
    }
    found.sort();
    found
}
