//! [`Outbound`]: the hardened HTTP client behind every call this server makes. Plain data in, plain data out.
//!
//! TLS only, no redirects, no proxy from the environment, no silent retries, deadlines on connecting and on the whole call, a cap on the answer.

pub mod authenticator;
pub mod scripted;
pub mod webhook;

use std::error::Error as _;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Response;
use reqwest::redirect::Policy;
use rustls::crypto::{CryptoProvider, aws_lc_rs as engine};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde::Serialize;

const CONNECT: Duration = Duration::from_secs(2);
const TOTAL: Duration = Duration::from_secs(5);
/// Shorter than any server keeps an idle connection, so that none is closed just as it is used again.
const IDLE: Duration = Duration::from_secs(2);
const LARGEST_ANSWER: usize = 64 * 1024;

/// A call that led to nothing. The words are for the log, and static: they can hold nothing of what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Failed(pub &'static str);

/// Whom to trust, and as whom to appear.
pub struct Identity {
    /// The certificate authorities of the other side.
    pub trust: RootCertStore,
    /// Our certificate, first in its chain, and its key.
    pub certificate: (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>),
}

/// What came back.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, 64 KiB at most.
    pub body: Vec<u8>,
}

/// A client for one other side.
#[derive(Clone, Debug)]
pub struct Outbound(reqwest::Client);

impl Outbound {
    /// A client that appears as `identity`.
    ///
    /// # Errors
    /// The key does not fit the certificate, or cannot be used.
    pub fn new(identity: Identity) -> Result<Self, Failed> {
        let (chain, key) = identity.certificate;
        let tls = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(VERSIONS)
            .map_err(|_| Failed("the TLS versions and suites do not fit together"))?
            .with_root_certificates(identity.trust)
            .with_client_auth_cert(chain, key)
            .map_err(|_| Failed("the key does not fit the certificate"))?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(TOTAL)
            .pool_idle_timeout(IDLE)
            .build();
        client.map(Self).map_err(|_| Failed("the HTTP client could not be built"))
    }

    /// `POST`s `body` as JSON to `url`, which the operator configured, for an answer with a body.
    ///
    /// # Errors
    /// [`Failed`]: no answer within five seconds, two of them for the connection, or one over 64 KiB.
    pub async fn ask(&self, url: &str, body: &impl Serialize) -> Result<Answer, Failed> {
        let mut response = self.send(url, body).await?;
        let status = response.status().as_u16();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|_| Failed("the answer broke off"))? {
            if body.len() + chunk.len() > LARGEST_ANSWER {
                return Err(Failed("the answer is too large"));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body })
    }

    /// The same, where the status says it all.
    ///
    /// # Errors
    /// [`Failed`]: no answer within five seconds, two of them for the connection.
    pub async fn tell(&self, url: &str, body: &impl Serialize) -> Result<u16, Failed> {
        Ok(self.send(url, body).await?.status().as_u16())
    }

    /// What went wrong is logged here, where it is known: the errors of the client name the URL and the cause, nothing that was sent.
    async fn send(&self, url: &str, body: &impl Serialize) -> Result<Response, Failed> {
        let body = serde_json::to_vec(body).map_err(|_| Failed("the call could not be written as JSON"))?;
        let request = self.0.post(url).header("content-type", "application/json").header("accept", "application/json");
        request.body(body).send().await.map_err(|error| {
            let cause = iter::successors(error.source(), |error| (*error).source()).last().map(ToString::to_string);
            tracing::warn!(url, cause, "a call to the bank failed");
            match () {
                () if error.is_timeout() => Failed("no answer in time"),
                () if error.is_connect() => Failed("no connection, or TLS failed"),
                () => Failed("the call broke off"),
            }
        })
    }
}

/// TLS 1.3 before 1.2, nothing older.
pub const VERSIONS: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];

/// aws-lc-rs with the suites of FAPI 1.0 part 2 §8.5 as FAPI-CIBA-ID1 §7.9 lists them: under TLS 1.2 only the two ECDHE_RSA ones with AES-GCM.
/// (The list has DHE_RSA too, which rustls does not offer.)
pub fn provider() -> Arc<CryptoProvider> {
    let cipher_suites = vec![
        engine::cipher_suite::TLS13_AES_256_GCM_SHA384,
        engine::cipher_suite::TLS13_AES_128_GCM_SHA256,
        engine::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
        engine::cipher_suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
        engine::cipher_suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ];
    Arc::new(CryptoProvider { cipher_suites, ..engine::default_provider() })
}
