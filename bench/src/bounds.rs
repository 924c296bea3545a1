//! [`Bounds`]: what the machine could do at most, measured in the same run: signatures, an echo over TLS, a handshake in memory.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::PublicKeyComponents;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, ParsedPublicKey,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};

use crate::cores::{Cores, pin, thread_time};
use crate::{Told, tls};

/// As long as the signed part of a client assertion.
const MESSAGE: [u8; 512] = [b'x'; 512];

/// What one core does in a second, of each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) verify_es256: f64,
    pub(crate) verify_ps256: f64,
    pub(crate) sign_es256: f64,
    pub(crate) sign_ps256: f64,
    /// TLS 1.3 with a certificate of the client, the server's part of it: P-256 for both.
    pub(crate) handshake: f64,
    /// A form in and a line of JSON out, over TLS, by a bare hyper.
    pub(crate) echo: f64,
}

/// Several of them, one after the other: how often that is done in a second.
pub(crate) fn together(rates: &[f64]) -> f64 {
    1.0 / rates.iter().map(|rate| 1.0 / rate).sum::<f64>()
}

impl Bounds {
    /// Measures all but the echo, for about `each` a kind, with the keys of the folder `certs`, while the other core is as busy as it is under load.
    pub(crate) fn measure(certs: &Path, cores: Cores, each: Duration) -> Told<Self> {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let busy = scope.spawn(|| {
                pin(cores.load)?;
                let (key, random) = (es256(certs)?, SystemRandom::new());
                while !done.load(Ordering::Relaxed) {
                    key.sign(&random, &MESSAGE)?;
                }
                Told::Ok(())
            });
            let measuring = scope.spawn(|| {
                pin(cores.server)?;
                Self::here(certs, each)
            });
            let measured = measuring.join();
            done.store(true, Ordering::Relaxed);
            let broke = |_| "the bounds could not be measured";
            busy.join().map_err(broke)??;
            measured.map_err(broke)?
        })
    }

    fn here(certs: &Path, each: Duration) -> Told<Self> {
        let (random, es256) = (SystemRandom::new(), es256(certs)?);
        let ps256 = RsaKeyPair::from_pkcs8(private(certs, "till-ps256")?.secret_pkcs8_der())?;
        let mut signature = vec![0; ps256.public_modulus_len()];
        let sign_es256 = rate(each, || Ok(es256.sign(&random, &MESSAGE).map(|_| ())?))?;
        let sign_ps256 = rate(each, || Ok(ps256.sign(&RSA_PSS_SHA256, &random, &MESSAGE, &mut signature)?))?;
        let ecdsa = es256.sign(&random, &MESSAGE)?;
        let point = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, es256.public_key().as_ref())?;
        let public = PublicKeyComponents::<Vec<u8>>::from(ps256.public_key());
        let modulus: ParsedPublicKey = public.to_parsed_public_key(&RSA_PSS_2048_8192_SHA256)?;
        let verify_es256 = rate(each, || Ok(point.verify_sig(&MESSAGE, ecdsa.as_ref())?))?;
        let verify_ps256 = rate(each, || Ok(modulus.verify_sig(&MESSAGE, &signature)?))?;
        let (server, client) = (Arc::new(tls::server(certs)?), Arc::new(tls::client(certs, "till")?));
        let mut spent = Duration::ZERO;
        let mut handshakes = 0_u32;
        let begun = thread_time();
        while thread_time().saturating_sub(begun) < each {
            spent += shake(&server, &client)?;
            handshakes += 1;
        }
        let handshake = f64::from(handshakes) / spent.as_secs_f64();
        let echo = f64::NAN;
        Ok(Self { verify_es256, verify_ps256, sign_es256, sign_ps256, handshake, echo })
    }
}

fn private(certs: &Path, name: &str) -> Told<PrivatePkcs8KeyDer<'static>> {
    Ok(PrivatePkcs8KeyDer::from_pem_file(certs.join(format!("{name}.key")))?)
}

fn es256(certs: &Path) -> Told<EcdsaKeyPair> {
    let der = private(certs, "till-es256")?;
    Ok(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der())?)
}

/// How often `work` is done in a second of this thread's time.
fn rate(each: Duration, mut work: impl FnMut() -> Told<()>) -> Told<f64> {
    let (begun, mut times) = (thread_time(), 0_u32);
    loop {
        for _ in 0..16 {
            work()?;
        }
        times += 16;
        let took = thread_time().saturating_sub(begun);
        if took >= each {
            return Ok(f64::from(times) / took.as_secs_f64());
        }
    }
}

/// One handshake in memory; what the server's part of it took.
fn shake(server: &Arc<ServerConfig>, client: &Arc<ClientConfig>) -> Told<Duration> {
    let mut client = ClientConnection::new(client.clone(), ServerName::try_from("localhost")?)?;
    let begun = thread_time();
    let mut server = ServerConnection::new(server.clone())?;
    let mut spent = thread_time().saturating_sub(begun);
    while client.is_handshaking() || server.is_handshaking() {
        let (mut there, mut back) = (Vec::new(), Vec::new());
        while client.wants_write() {
            client.write_tls(&mut there)?;
        }
        let (begun, mut there) = (thread_time(), &there[..]);
        while !there.is_empty() {
            server.read_tls(&mut there)?;
            server.process_new_packets()?;
        }
        while server.wants_write() {
            server.write_tls(&mut back)?;
        }
        spent += thread_time().saturating_sub(begun);
        let mut back = &back[..];
        while !back.is_empty() {
            client.read_tls(&mut back)?;
            client.process_new_packets()?;
        }
    }
    Ok(spent)
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "What one core does in a second:")?;
        for (what, rate) in [
            ("ES256 verifications", self.verify_es256),
            ("ES256 signatures", self.sign_es256),
            ("PS256 verifications", self.verify_ps256),
            ("PS256 signatures", self.sign_ps256),
            ("handshakes with a client certificate", self.handshake),
            ("echoes over TLS", self.echo),
        ] {
            write!(f, "\n  {rate:>9.0}  {what}")?;
        }
        Ok(())
    }
}
