//! The sandbox bank: everything that the OpenID conformance suite needs beside a server, and that a real bank has too.
//!
//! It knows every user, shows prompts on a phone that is an HTTP endpoint (`POST /phone/{auth_req_id}/{allow|deny}`, the suite's
//! `automated_ciba_approval_url`), and serves `/accounts`. It uses the three interfaces of deploy/bank.md and nothing else.

mod bank;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Parser;

/// A bank for the OpenID conformance suite: users, a phone that approves, and an accounts API. Loopback only, never for production.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9445")]
    listen: SocketAddr,
    /// The issuer of the server
    #[arg(long, value_name = "URL", default_value = "https://localhost:9443")]
    issuer: String,
    /// The server's decision interface
    #[arg(long, value_name = "URL", default_value = "https://localhost:9444/decision")]
    decision: String,
    /// The folder that `countersign certs dev` made
    #[arg(long, value_name = "FOLDER", default_value = "certs/dev")]
    certs: PathBuf,
    /// The acr that every approval reports
    #[arg(long, value_name = "ACR", default_value = "urn:bank:acr:app-pin")]
    acr: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let options = Options::parse();
    if !options.listen.ip().is_loopback() {
        return Err("the sandbox bank approves whatever it is told to: it listens on loopback alone".into());
    }
    bank::serve(options).await
}
