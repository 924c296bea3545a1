//! `countersign certs dev`: a throw-away authority, certificates and keys for trying things out. certs/README.md lists the files.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize, SanType,
};
use serde_json::json;
use time::OffsetDateTime;

use crate::cli::operator::{ended, say};
use crate::clock::{Clock, System};
use crate::jose::keyring::SigningKey;

/// What kind of certificates and keys.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// For development: an authority, server and client certificates, signing keys. Never for production
    Dev {
        /// Where to put them. A folder with anything in it is left as it is, and the command fails
        #[arg(long, value_name = "FOLDER", default_value = "certs/dev")]
        out: PathBuf,
        /// The host name of the servers
        #[arg(long, value_name = "NAME", default_value = "localhost")]
        host: String,
    },
}

/// How long the certificates are valid.
const DAYS: i64 = 365;

pub(super) fn run(command: Command) -> ExitCode {
    let Command::Dev { out, host } = command;
    match dev(&out, &host, &System) {
        Ok(()) => {
            let made = out.canonicalize().unwrap_or(out);
            let says = format!("{}: made, valid for {DAYS} days; certs/README.md says what is what\n", made.display());
            ended("certs", say(&says))
        }
        Err(error) => {
            eprintln!("{}: {error}", out.display());
            ExitCode::FAILURE
        }
    }
}

/// Makes every file of certs/README.md in `out`, for servers called `host`.
///
/// # Errors
/// `host` is no host name, there is something in `out` already, or a file cannot be written.
pub fn dev(out: &Path, host: &str, clock: &dyn Clock) -> io::Result<()> {
    if !matches!(url::Host::parse(host), Ok(url::Host::Domain(_))) {
        return Err(io::Error::other(format!("--host {host:?} is not a host name")));
    }
    if out.read_dir().is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(io::Error::other(
            "there is something in it already, and it stays as it is; remove it, or name another --out",
        ));
    }
    fs::create_dir_all(out.join("keys"))?;
    let maker = Maker::new(out, clock)?;
    maker.certificate(Kind::Server, "server-p256", (&[host], &p256()?))?;
    maker.certificate(Kind::Server, "server-rsa", (&[host], &rsa()?))?;
    maker.certificate(Kind::Both, "bank", (&[host], &p256()?))?;
    // In deploy/compose.yml Redis is called redis.
    maker.certificate(Kind::Server, "redis", (&["redis", "localhost", "127.0.0.1"], &p256()?))?;
    maker.certificate(Kind::Client, "countersign", (&["countersign"], &p256()?))?;
    maker.certificate(Kind::Client, "till", (&["till-7"], &p256()?))?;
    maker.secret("keys/es256.pem", &p256()?.serialize_pem())?;
    maker.secret("keys/ps256.pem", &rsa()?.serialize_pem())?;
    maker.jwks("till", &[("till-es256", p256()?), ("till-ps256", rsa()?)])?;
    maker.jwks("accounts-api", &[("accounts-api-es256", p256()?)])
}

#[derive(Clone, Copy)]
enum Kind {
    Server,
    Client,
    Both,
}

struct Maker<'a> {
    out: &'a Path,
    authority: CertifiedIssuer<'static, KeyPair>,
    not_before: OffsetDateTime,
}

impl<'a> Maker<'a> {
    fn new(out: &'a Path, clock: &dyn Clock) -> io::Result<Self> {
        let now = OffsetDateTime::from_unix_timestamp(clock.now().seconds()).map_err(io::Error::other)?;
        let not_before = now - time::Duration::hours(1);
        let mut params = params("countersign development authority", not_before);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let authority = CertifiedIssuer::self_signed(params, p256()?).map_err(io::Error::other)?;
        let maker = Self { out, authority, not_before };
        maker.public("ca.pem", &maker.authority.pem())?;
        Ok(maker)
    }

    /// `{name}.pem` and `{name}.key`, for hosts of these names or addresses. The subject is the first.
    fn certificate(&self, kind: Kind, name: &str, (hosts, key): (&[&str], &KeyPair)) -> io::Result<()> {
        let mut params = params(hosts.first().unwrap_or(&name), self.not_before);
        params.extended_key_usages = match kind {
            Kind::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Kind::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Kind::Both => vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth],
        };
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.subject_alt_names = hosts.iter().map(|host| named(host)).collect::<Result<_, _>>()?;
        let certificate = params.signed_by(key, &self.authority).map_err(io::Error::other)?;
        self.public(&format!("{name}.pem"), &certificate.pem())?;
        self.secret(&format!("{name}.key"), &key.serialize_pem())
    }

    /// A private `{file}.pem` for each key, and the public ones together in `{name}.jwks.json`.
    fn jwks(&self, name: &str, keys: &[(&str, KeyPair)]) -> io::Result<()> {
        let mut public = Vec::new();
        for (file, key) in keys {
            self.secret(&format!("{file}.key"), &key.serialize_pem())?;
            public.push(SigningKey::from_pkcs8(&key.serialize_der()).map_err(io::Error::other)?.public().clone());
        }
        self.public(&format!("{name}.jwks.json"), &format!("{:#}\n", json!({ "keys": public })))
    }

    fn public(&self, name: &str, content: &str) -> io::Result<()> {
        self.write(name, (content, 0o644))
    }

    fn secret(&self, name: &str, content: &str) -> io::Result<()> {
        self.write(name, (content, 0o600))
    }

    fn write(&self, name: &str, (content, mode): (&str, u32)) -> io::Result<()> {
        let path = self.out.join(name);
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{name}: {error}"));
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(named)?;
        file.write_all(content.as_bytes()).map_err(named)
    }
}

fn params(subject: &str, not_before: OffsetDateTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, subject);
    params.not_before = not_before;
    params.not_after = not_before + time::Duration::days(DAYS);
    params.use_authority_key_identifier_extension = true;
    params
}

fn named(host: &str) -> io::Result<SanType> {
    host.parse().map(SanType::IpAddress).or_else(|_| host.try_into().map(SanType::DnsName).map_err(io::Error::other))
}

fn p256() -> io::Result<KeyPair> {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(io::Error::other)
}

fn rsa() -> io::Result<KeyPair> {
    KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).map_err(io::Error::other)
}
