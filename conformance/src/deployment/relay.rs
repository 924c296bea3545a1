//! One address in front of several servers: each connection goes to the next of them, TLS and all.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

/// Passes what comes in at `front` on to `servers` in turn, until it is dropped. A server that does not answer is passed over.
pub(super) async fn run(front: TcpListener, servers: Vec<SocketAddr>) {
    let mut turn = 0;
    loop {
        let Ok((mut caller, _)) = front.accept().await else {
            // There are no more file descriptors, as a rule; there will be.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        turn = (turn + 1) % servers.len();
        let order: Vec<SocketAddr> = servers[turn..].iter().chain(&servers[..turn]).copied().collect();
        tokio::spawn(async move {
            for server in order {
                if let Ok(mut server) = TcpStream::connect(server).await {
                    // Either side may hang up at any time; there is nobody to tell.
                    drop(copy_bidirectional(&mut caller, &mut server).await);
                    return;
                }
            }
        });
    }
}
