//! [`Caller`]: an HTTPS client that shows a certificate, or the proof of a key, or nothing, and the [`Answer`]s it gets.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use countersign::outbound::{VERSIONS, provider};
use countersign::secret::{Digest, Secret};
use http::StatusCode;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderName, WWW_AUTHENTICATE};
use reqwest::RequestBuilder;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use serde_json::Value;
use url::form_urlencoded;

use crate::holder::{Holder, Proof};
use crate::story::Told;

const FORM: &str = "application/x-www-form-urlencoded";

/// Somebody who calls.
#[derive(Clone)]
pub(crate) struct Caller {
    client: reqwest::Client,
    shows: String,
    holder: Option<Holder>,
    /// By URL, the newest nonce that came from there (RFC 9449 §8.2).
    nonces: Arc<Mutex<HashMap<String, String>>>,
}

impl Caller {
    /// Calls with `{name}.pem` and `{name}.key` of the folder `certs`.
    pub(crate) fn with_certificate(certs: &Path, name: &str) -> Told<Self> {
        let chain: Vec<_> =
            CertificateDer::pem_file_iter(certs.join(format!("{name}.pem")))?.collect::<Result<_, _>>()?;
        let key = PrivateKeyDer::from_pem_file(certs.join(format!("{name}.key")))?;
        let leaf = chain.first().ok_or("the file has no certificate")?;
        let shows = format!("{name}.pem, with x5t#S256 {}", Digest::of(leaf));
        let tls = trusting(certs)?.with_client_auth_cert(chain, key)?;
        Ok(Self { client: client(tls)?, shows, holder: None, nonces: Arc::default() })
    }

    /// Calls without a certificate.
    pub(crate) fn without_certificate(certs: &Path) -> Told<Self> {
        let tls = trusting(certs)?.with_no_client_auth();
        Ok(Self { client: client(tls)?, shows: "none".to_owned(), holder: None, nonces: Arc::default() })
    }

    /// Calls without a certificate, and has a fresh key to make proofs with.
    pub(crate) fn with_key(certs: &Path) -> Told<Self> {
        Ok(Self { holder: Some(Holder::fresh()?), ..Self::without_certificate(certs)? })
    }

    /// Which certificate the other side gets to see, in words.
    pub(crate) fn shows(&self) -> &str {
        &self.shows
    }

    /// The proof that goes with a call, perhaps with `token`, if there is a key to make it with. It has the newest nonce of where it goes.
    pub(crate) fn prove(&self, call: (&str, &str), token: Option<&Secret>) -> Told<Option<Proof>> {
        let nonce = self.nonces.lock().unwrap_or_else(PoisonError::into_inner).get(call.1).cloned();
        self.holder.as_ref().map(|holder| holder.prove(call, (token, nonce))).transpose()
    }

    pub(crate) async fn get(&self, url: &str) -> Told<Answer> {
        Answer::to(self.client.get(url)).await
    }

    pub(crate) async fn get_with_token(&self, url: &str, authorization: &str, proof: Option<&Proof>) -> Told<Answer> {
        let answer = Answer::to(with(self.client.get(url).header(AUTHORIZATION, authorization), proof)).await?;
        Ok(self.minding(url, answer))
    }

    pub(crate) async fn post_form(&self, url: &str, form: &[(&str, &str)]) -> Told<Answer> {
        self.post_form_with(url, form, None).await
    }

    pub(crate) async fn post_form_with(&self, url: &str, form: &[(&str, &str)], proof: Option<&Proof>) -> Told<Answer> {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let answer = Answer::to(with(self.client.post(url).header(CONTENT_TYPE, FORM).body(body), proof)).await?;
        Ok(self.minding(url, answer))
    }

    /// Keeps the nonce of `answer` for the next proof that goes there.
    fn minding(&self, url: &str, answer: Answer) -> Answer {
        if let Some(nonce) = &answer.nonce {
            let mut nonces = self.nonces.lock().unwrap_or_else(PoisonError::into_inner);
            nonces.insert(url.to_owned(), nonce.clone());
        }
        answer
    }

    pub(crate) async fn post_json(&self, url: &str, body: &Value) -> Told<Answer> {
        Answer::to(self.client.post(url).header(CONTENT_TYPE, "application/json").body(body.to_string())).await
    }
}

/// RFC 9449 §4.1.
fn with(request: RequestBuilder, proof: Option<&Proof>) -> RequestBuilder {
    proof.iter().fold(request, |request, proof| request.header("dpop", proof.jwt.reveal()))
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// RFC 6750 §3: what a protected resource says about a token it does not take.
    pub(crate) challenge: Option<String>,
    /// RFC 9449 §8: what the next proof has to have in it.
    pub(crate) nonce: Option<String>,
    /// The JSON in it; null if there is none.
    pub(crate) body: Value,
}

impl Answer {
    async fn to(request: RequestBuilder) -> Told<Self> {
        let response = request.send().await?;
        let status = response.status();
        let header = |name| Some(response.headers().get(name)?.to_str().ok()?.to_owned());
        let (challenge, nonce) = (header(WWW_AUTHENTICATE), header(HeaderName::from_static("dpop-nonce")));
        let body = response.bytes().await?;
        let body = if body.is_empty() { Value::Null } else { serde_json::from_slice(&body)? };
        Ok(Self { status, challenge, nonce, body })
    }

    /// The word for what went wrong, if anything did.
    pub(crate) fn error(&self) -> Option<&str> {
        self.body.get("error").and_then(Value::as_str)
    }

    /// The string called `name`.
    pub(crate) fn text(&self, name: &str) -> Told<&str> {
        self.body.get(name).and_then(Value::as_str).ok_or_else(|| format!("the answer has no {name}").into())
    }

    /// The whole number called `name`.
    pub(crate) fn number(&self, name: &str) -> Told<u64> {
        self.body.get(name).and_then(Value::as_u64).ok_or_else(|| format!("the answer has no {name}").into())
    }
}

type Trusting = rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>;

fn trusting(certs: &Path) -> Told<Trusting> {
    let mut authorities = RootCertStore::empty();
    authorities.add(CertificateDer::from_pem_file(certs.join("ca.pem"))?)?;
    Ok(ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)?
        .with_root_certificates(authorities))
}

/// Each call is a connection of its own, so that each call proves the certificate.
fn client(tls: ClientConfig) -> Told<reqwest::Client> {
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .timeout(Duration::from_secs(30))
        .build()?)
}
