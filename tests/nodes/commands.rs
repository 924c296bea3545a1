//! [`Commands`]: what Redis is told, command by command, as `MONITOR` shows it.

use futures_util::{Stream, StreamExt};
use redis::aio::MultiplexedConnection;

use crate::node::in_time;
use crate::server::RedisServer;

/// Everything that Redis is told from now on. `INFO commandstats` could not tell the looks of the watch from the rest.
pub(crate) struct Commands {
    lines: Box<dyn Stream<Item = String> + Unpin>,
    marker: MultiplexedConnection,
    marks: u32,
}

impl Commands {
    /// Listens to `server`.
    pub(crate) async fn of(server: &RedisServer) -> Self {
        let client = redis::Client::open(format!("redis://{}/", server.address())).expect("a URL");
        let monitor = client.get_async_monitor().await.expect("it runs");
        Self { lines: Box::new(Box::pin(monitor.into_on_message())), marker: server.admin().await, marks: 0 }
    }

    /// What it was told since the last time this was asked, as in `GET grant`; without the looks of the watch, and without what scripts do.
    pub(crate) async fn so_far(&mut self) -> Vec<String> {
        self.marks += 1;
        let mark = format!("mark-{}", self.marks);
        redis::cmd("ECHO").arg(&mark).exec_async(&mut self.marker).await.expect("it runs");
        let mut found = Vec::new();
        loop {
            let line = in_time(self.lines.next()).await.expect("it runs");
            if line.contains(&mark) {
                return found;
            }
            let (origin, told) = line.split_once("] \"").expect("who, and then what");
            let name = told.split('"').next().unwrap_or_default().to_uppercase();
            let watch = ["TIME", "INFO"].contains(&name.as_str()) || told.contains("\"cs:probe\"");
            let hello = ["HELLO", "CLIENT", "SELECT", "ECHO"].contains(&name.as_str());
            if !watch && !hello && !origin.ends_with("lua") {
                let family = told.split_once("\"cs:").and_then(|(_, key)| key.split([':', '"']).next());
                found.push(format!("{name} {}", family.unwrap_or("nothing of ours")));
            }
        }
    }
}
