//! [`Cluster`]: several Redis servers that share the keys, each with so many replicas.

use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use crate::server::{RedisServer, free_port};

/// How often to look whether the nodes agree, fifty times a second.
const PATIENCE: u32 = 1_500;

/// Three primaries, and perhaps replicas.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<RedisServer>,
    login: Option<(&'static str, &'static str)>,
}

impl Cluster {
    /// Three primaries with so many replicas each, started with `arguments`; `login` is an administrator, where not everybody is one.
    pub(crate) fn start(replicas: usize, arguments: &[&str], login: Option<(&'static str, &'static str)>) -> Self {
        let node = |_| {
            let bus = free_port().to_string();
            let own = ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port", &bus];
            RedisServer::with(&[&own[..], &["--repl-diskless-sync-delay", "0"], arguments].concat())
        };
        let cluster = Self { nodes: (0..3 * (replicas + 1)).map(node).collect(), login };
        let addresses: Vec<String> = cluster.nodes.iter().map(RedisServer::address).collect();
        let mut words: Vec<&str> = vec!["create"];
        words.extend(addresses.iter().map(String::as_str));
        let replicas_of_each = replicas.to_string();
        words.extend(["--cluster-replicas", &replicas_of_each, "--cluster-yes"]);
        cluster.cli(&words);
        let all = format!("cluster_known_nodes:{}", cluster.nodes.len());
        for node in &cluster.nodes {
            cluster
                .wait(node.port, &["CLUSTER", "INFO"], |info| info.contains("cluster_state:ok") && info.contains(&all));
        }
        if replicas > 0 {
            for node in &cluster.nodes {
                cluster.wait(node.port, &["INFO", "replication"], |info| {
                    info.contains("role:master") || info.contains("master_link_status:up")
                });
                cluster.wait(node.port, &["CLUSTER", "NODES"], |nodes| nodes.matches("slave").count() == 3 * replicas);
            }
        }
        cluster
    }

    /// The ports of all nodes.
    pub(crate) fn ports(&self) -> Vec<u16> {
        self.nodes.iter().map(|node| node.port).collect()
    }

    /// Has `redis-cli --cluster` do something.
    pub(crate) fn cli(&self, words: &[&str]) {
        let done = self.command(&["--cluster"]).args(words).output().expect("redis-cli is installed");
        assert!(done.status.success(), "{words:?}: {}", String::from_utf8_lossy(&done.stdout));
    }

    /// What the node on `port` says to `words`.
    pub(crate) fn say(&self, port: u16, words: &[&str]) -> String {
        let said = self.command(&["-p", &port.to_string()]).args(words).output().expect("redis-cli is installed");
        String::from_utf8(said.stdout).expect("UTF-8").trim_end().to_owned()
    }

    /// `redis-cli` with `words`.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("redis-cli");
        if let Some((user, password)) = self.login {
            command.args(["--no-auth-warning", "--user", user, "--pass", password]);
        }
        command.args(words);
        command
    }

    /// Says `words` to the node on `port`, until the answer is `enough`.
    pub(crate) fn wait(&self, port: u16, words: &[&str], enough: impl Fn(&str) -> bool) {
        let mut said = String::new();
        for _ in 0..PATIENCE {
            said = self.say(port, words);
            if enough(&said) {
                return;
            }
            sleep(Duration::from_millis(20));
        }
        panic!("waited in vain for {words:?}: {said}");
    }

    /// The node that has `slot`, and its id.
    pub(crate) fn owner(&self, slot: u16) -> (u16, String) {
        let nodes = self.say(self.nodes[0].port, &["CLUSTER", "NODES"]);
        let owner = nodes.lines().find(|line| {
            line.split_whitespace().skip(8).filter(|range| !range.starts_with('[')).any(|range| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let [first, last] = [first, last].map(|end| end.parse::<u16>().expect("a slot"));
                (first..=last).contains(&slot)
            })
        });
        let words: Vec<&str> = owner.expect("somebody has it").split_whitespace().collect();
        let address = words[1].split('@').next().expect("an address");
        let port = address.rsplit(':').next().expect("a port").parse().expect("a port");
        (port, words[0].to_owned())
    }
}
