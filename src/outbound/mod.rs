//! [`Outbound`]: the hardened HTTP client behind every call this server makes. Plain data in, plain data out.
//!
//! TLS only, no redirects, no proxy from the environment, no silent retries, deadlines on connecting and on the whole call, a cap on the answer.

pub mod authenticator;
pub mod guard;
pub mod jwks;
pub mod measured;
pub mod ping;
pub mod scripted;
pub mod webhook;

use std::error::Error as _;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderValue;
use reqwest::redirect::Policy;
use reqwest::{Request, RequestBuilder, Response};
use rustls::crypto::{CryptoProvider, aws_lc_rs as engine};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde::Serialize;
use tracing::Instrument as _;
use tracing::field::Empty;

use crate::outbound::guard::{Guard, foreign};
use crate::secret::Secret;
use crate::telemetry::context::{self, TRACEPARENT};

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
    /// Our certificate, first in its chain, and its key; without one, we appear as nobody.
    pub certificate: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
}

impl Identity {
    /// The TLS of it.
    ///
    /// # Errors
    /// The key does not fit the certificate, or cannot be used.
    pub fn tls(self) -> Result<ClientConfig, Failed> {
        let tls = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(VERSIONS)
            .map_err(|_| Failed("the TLS versions and suites do not fit together"))?
            .with_root_certificates(self.trust);
        match self.certificate {
            None => Ok(tls.with_no_client_auth()),
            Some((chain, key)) => {
                tls.with_client_auth_cert(chain, key).map_err(|_| Failed("the key does not fit the certificate"))
            }
        }
    }
}

/// Whom we call.
#[derive(Clone, Copy, Debug)]
pub enum Whom {
    /// One that the operator named.
    Named,
    /// Whoever a client named: through the [`guard`].
    Foreign {
        /// Whether loopback counts as the internet. For development.
        loopback: bool,
    },
}

/// What came back.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, 64 KiB at most.
    pub body: Vec<u8>,
}

/// A client for one kind of other side.
#[derive(Clone, Debug)]
pub struct Outbound {
    client: reqwest::Client,
    whom: Whom,
}

impl Outbound {
    /// A client that appears as `identity`.
    ///
    /// # Errors
    /// The key does not fit the certificate, or cannot be used.
    pub fn new(identity: Identity, whom: Whom) -> Result<Self, Failed> {
        let tls = identity.tls()?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(CONNECT)
            .timeout(TOTAL)
            .pool_idle_timeout(IDLE);
        let client = match whom {
            Whom::Named => client,
            Whom::Foreign { loopback } => client.dns_resolver(Arc::new(Guard::new(loopback))),
        };
        client.build().map(|client| Self { client, whom }).map_err(|_| Failed("the HTTP client could not be built"))
    }

    /// `POST`s `body` as JSON to `url`, which the operator configured, for an answer with a body.
    ///
    /// # Errors
    /// [`Failed`]: no answer within five seconds, two of them for the connection, or one over 64 KiB.
    pub async fn ask(&self, url: &str, body: &impl Serialize) -> Result<Answer, Failed> {
        whole(self.send(self.client.post(url).body(json(body)?)).await?).await
    }

    /// The same, where the status says it all.
    ///
    /// # Errors
    /// [`Failed`]: no answer within five seconds, two of them for the connection.
    pub async fn tell(&self, url: &str, body: &impl Serialize) -> Result<u16, Failed> {
        Ok(self.send(self.client.post(url).body(json(body)?)).await?.status().as_u16())
    }

    /// The same to a URL that a client registered, with the `token` it gave for that (CIBA §10.2). What it answers is not read.
    ///
    /// # Errors
    /// As for [`tell`](Self::tell), and where the URL is not a [foreign] one, or leads inside.
    pub async fn notify(&self, (url, token): (&str, &Secret), body: &impl Serialize) -> Result<u16, Failed> {
        let url = foreign(url).map_err(Failed)?;
        let call = self.client.post(url).bearer_auth(token.reveal()).body(json(body)?);
        Ok(self.send(call).await?.status().as_u16())
    }

    /// `GET`s JSON from a URL that a client registered.
    ///
    /// # Errors
    /// As for [`ask`](Self::ask), and where the URL is not a [foreign] one, or leads inside.
    pub async fn fetch(&self, url: &str) -> Result<Answer, Failed> {
        whole(self.send(self.client.get(foreign(url).map_err(Failed)?)).await?).await
    }

    /// What went wrong is logged here, where it is known: of a call to one that the operator named, the origin and the innermost cause, which can hold
    /// nothing that was sent; of a call to another, nothing in its words.
    async fn send(&self, request: RequestBuilder) -> Result<Response, Failed> {
        let request = request.header("content-type", "application/json").header("accept", "application/json");
        let mut request = request.build().map_err(|_| Failed("the call could not be made"))?;
        let span = tracing::info_span!(
            "call",
            otel.name = request.method().as_str(),
            otel.kind = "client",
            http.request.method = request.method().as_str(),
            http.response.status_code = Empty,
            error.type = Empty,
            otel.status_code = Empty,
            server.address = Empty,
            server.port = Empty,
        );
        if let Whom::Named = self.whom {
            span.record("server.address", request.url().host_str());
            span.record("server.port", request.url().port_or_known_default());
        }
        if let Some(value) = span.in_scope(context::traceparent).and_then(|value| HeaderValue::try_from(value).ok()) {
            request.headers_mut().insert(TRACEPARENT, value);
        }
        let answer = self.execute(request).instrument(span.clone()).await;
        let status = answer.as_ref().map(|answer| answer.status().as_u16());
        if let Ok(status) = status {
            span.record("http.response.status_code", status);
        }
        if status.is_err() || status.is_ok_and(|status| status >= 400) {
            span.record("error.type", status.map_or_else(|_| "_OTHER".to_owned(), |status| status.to_string()));
            span.record("otel.status_code", "ERROR");
        }
        answer
    }

    async fn execute(&self, request: Request) -> Result<Response, Failed> {
        self.client.execute(request).await.map_err(|error| {
            let origin = error.url().map(|url| url.origin().ascii_serialization());
            let cause = iter::successors(error.source(), |error| (*error).source()).last().map(ToString::to_string);
            match self.whom {
                Whom::Named => tracing::warn!(origin, cause, "an outbound call failed"),
                Whom::Foreign { .. } => tracing::debug!("a call to a client failed"),
            }
            match () {
                () if error.is_timeout() => Failed("no answer in time"),
                () if error.is_connect() => Failed("no connection, or TLS failed"),
                () => Failed("the call broke off"),
            }
        })
    }
}

fn json(body: &impl Serialize) -> Result<Vec<u8>, Failed> {
    serde_json::to_vec(body).map_err(|_| Failed("the call could not be written as JSON"))
}

async fn whole(mut response: Response) -> Result<Answer, Failed> {
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
