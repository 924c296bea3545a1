//! [`Balancer`]: the load balancer of `deploy/compose.yml`, by the configuration that ships, in front of two servers of a test.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::server::free_port;

/// A load balancer that ends with the test.
pub(crate) struct Balancer {
    child: Child,
    /// Where the world comes in.
    pub(crate) public: u16,
    /// Where the bank comes in.
    pub(crate) internal: u16,
}

impl Balancer {
    /// Where it comes from: another address than that of whoever calls a server without it.
    pub(crate) const ADDRESS: &str = "127.0.0.5";

    /// One before `servers`, each by its ports for the world and for the bank; it trusts `ca` and has its configuration in `folder`.
    pub(crate) fn before(servers: [(u16, u16); 2], ca: &Path, folder: &Path) -> Self {
        let (public, internal) = (free_port(), free_port());
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/compose/haproxy.cfg");
        let mut text = fs::read_to_string(shipped).expect("it ships");
        let mut change = |from: &str, to: &str| {
            assert!(text.contains(from), "{from} is not in haproxy.cfg");
            text = text.replace(from, to);
        };
        change("balance roundrobin", &format!("balance roundrobin\n    source {}", Self::ADDRESS));
        change("bind :9443", &format!("bind 127.0.0.1:{public}"));
        change("bind :9444", &format!("bind 127.0.0.1:{internal}"));
        for (name, (world, bank)) in ["countersign-1", "countersign-2"].into_iter().zip(servers) {
            change(&format!("{name}:9443"), &format!("127.0.0.1:{world} port {bank}"));
            change(&format!("{name}:9444"), &format!("127.0.0.1:{bank} port {bank}"));
        }
        change("/usr/local/etc/haproxy/ca.pem", ca.to_str().expect("UTF-8"));
        let path = folder.join("haproxy.cfg");
        fs::write(&path, text).expect("written");
        let mut command = Command::new("haproxy");
        command.args(["-q", "-db", "-f"]).arg(&path).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| panic!("haproxy is installed by ./test: {error}"));
        Self { child, public, internal }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
