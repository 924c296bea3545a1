//! Kinds of servers beside the plain one: over TLS, and a sentinel.

use crate::server::RedisServer;

impl RedisServer {
    /// One that speaks TLS alone.
    pub(crate) fn over_tls(arguments: &[&str]) -> Self {
        Self::listening("--tls-port", &[&["--port", "0"], arguments].concat())
    }

    /// A sentinel with this configuration.
    pub(crate) fn sentinel(config: &str) -> Self {
        let mut server = Self::resting("--port", &["--sentinel"]);
        std::fs::write(server.path("redis.conf"), config).expect("it can be written");
        server.start_again();
        server
    }

    /// The number of its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it is running").id()
    }
}
