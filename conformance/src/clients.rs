//! The two [`Client`]s of a static plan: made here once, or somebody's own. One definition, of which the server's entries and the suite's configuration are both written.
//!
//! `clients.toml` says where each has its keys; a table for each plan, in it `one` and `two`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use josekit::jwk::Jwk;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::fault::Fault;
use crate::place::{write, write_secret};
use crate::plan::{Auth, Plan, Registration};

/// The list in the folder of the clients.
pub(crate) const LIST: &str = "clients.toml";
/// Who vouches for the certificates of the clients that were made here, in the same folder.
pub(crate) const AUTHORITY: &str = "client-authorities.pem";
/// Its key, for the clients of plans that come later.
const AUTHORITY_KEY: &str = "client-authorities.key";

/// The members of a key that anybody may know (RFC 7517 §4, RFC 7518 §6).
const PUBLIC: [&str; 9] = ["kty", "use", "alg", "kid", "n", "e", "crv", "x", "y"];

/// What each of them may ask for.
const SCOPE: &str = "openid accounts";

/// A client of a plan, with everything that is its own.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) client_id: String,
    pub(crate) scope: String,
    /// Its JWK Set, with the private part.
    pub(crate) jwks: Value,
    /// PEM.
    pub(crate) certificate: String,
    /// PEM.
    pub(crate) key: String,
    /// Where it authenticates by a certificate that somebody vouches for: by which name in it (RFC 8705 §2.1.2).
    pub(crate) tls_client_auth_san_dns: Option<String>,
}

impl Client {
    /// What a server is told of its keys: the public parts, and the certificate that goes with them (RFC 8705 §2.2.2).
    ///
    /// # Errors
    /// The keys are not keys.
    pub(crate) fn public_jwks(&self) -> Result<Value, Fault> {
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes())
            .map_err(|error| format!("the certificate of {}: {error}", self.client_id))?;
        let mut public = Vec::new();
        for key in self.jwks["keys"].as_array().into_iter().flatten() {
            let key = key.as_object().ok_or_else(|| format!("the keys of {} are no objects", self.client_id))?;
            let mut key: Map<String, Value> = key
                .iter()
                .filter(|(name, _)| PUBLIC.contains(&name.as_str()))
                .map(|(n, v)| (n.clone(), v.clone()))
                .collect();
            key.insert("x5c".into(), json!([STANDARD.encode(&certificate)]));
            public.push(key);
        }
        Ok(json!({"keys": public}))
    }
}

/// The first and the second client.
pub(crate) type Pair = [Client; 2];

/// Where a client has its keys. Paths are relative to the list.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    client_id: String,
    scope: String,
    jwks: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls_client_auth_san_dns: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Entries {
    one: Entry,
    two: Entry,
}

/// The pairs in the list at `path`, each under the name of its plan.
///
/// # Errors
/// The list or a file that it names cannot be read, or is not what it should be.
pub(crate) fn read(path: &Path) -> Result<BTreeMap<String, Pair>, Fault> {
    let entries = listed(path)?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut pairs = BTreeMap::new();
    for (plan, Entries { one, two }) in entries {
        plan.parse::<Plan>().map_err(|why| format!("{}: [{plan}]: {why}", path.display()))?;
        pairs.insert(plan, [client(folder, one)?, client(folder, two)?]);
    }
    Ok(pairs)
}

/// Makes a pair for each static plan among `plans` that has none yet, the list of them and the authority of their certificates, in `folder`. What is there stays as it is.
///
/// # Errors
/// A file cannot be written, or what is there cannot be read or not be added to.
pub(crate) fn open(folder: &Path, plans: &[Plan]) -> Result<BTreeMap<String, Pair>, Fault> {
    let list = folder.join(LIST);
    let fresh = !list.exists();
    let mut entries = if fresh { BTreeMap::new() } else { listed(&list)? };
    let fixed = plans.iter().filter(|plan| plan.registration == Registration::Static);
    let missing: Vec<Plan> = fixed.filter(|plan| !entries.contains_key(&plan.to_string())).copied().collect();
    if fresh || !missing.is_empty() {
        fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let maker = if fresh { Maker::new(folder)? } else { Maker::again(folder)? };
        for plan in missing {
            let (one, two) = (maker.make(plan, Which::One)?, maker.make(plan, Which::Two)?);
            entries.insert(plan.to_string(), Entries { one, two });
        }
        write(&list, &toml::to_string(&entries)?)?;
    }
    read(&list)
}

fn listed(path: &Path) -> Result<BTreeMap<String, Entries>, Fault> {
    toml::from_str(&text(path)?).map_err(|error| format!("{}: {error}", path.display()).into())
}

fn client(folder: &Path, entry: Entry) -> Result<Client, Fault> {
    let jwks = text(&folder.join(&entry.jwks))?;
    let jwks = serde_json::from_str(&jwks).map_err(|error| format!("{}: {error}", entry.jwks.display()))?;
    let (certificate, key) = (text(&folder.join(entry.certificate))?, text(&folder.join(entry.key))?);
    let Entry { client_id, scope, tls_client_auth_san_dns, .. } = entry;
    Ok(Client { client_id, scope, jwks, certificate, key, tls_client_auth_san_dns })
}

fn text(path: &Path) -> Result<String, Fault> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()).into())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    One,
    Two,
}

struct Maker<'a> {
    folder: &'a Path,
    authority: Issuer<'static, KeyPair>,
}

impl<'a> Maker<'a> {
    fn new(folder: &'a Path) -> Result<Self, Fault> {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        write_secret(&folder.join(AUTHORITY_KEY), &key.serialize_pem())?;
        write(&folder.join(AUTHORITY), &authority().self_signed(&key)?.pem())?;
        Ok(Self { folder, authority: Issuer::new(authority(), key) })
    }

    /// With the authority of those that were made before.
    fn again(folder: &'a Path) -> Result<Self, Fault> {
        let path = folder.join(AUTHORITY_KEY);
        let missing = |error| {
            format!(
                "{}: {error}; without it no clients can be added to {LIST}: name another folder, or add yours to the list",
                path.display()
            )
        };
        let key = KeyPair::from_pem(&fs::read_to_string(&path).map_err(missing)?)?;
        Ok(Self { folder, authority: Issuer::new(authority(), key) })
    }

    /// PS256, since some of the suite's modules break an RSA signature, and a certificate: where it authenticates by that, the first client's is by the authority, the second's by itself.
    fn make(&self, plan: Plan, which: Which) -> Result<Entry, Fault> {
        let client_id = format!("{plan}-{}", if which == Which::One { "one" } else { "two" });
        let tls = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let mut params = named(&client_id);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let name = format!("{client_id}.example");
        params.subject_alt_names = vec![rcgen::SanType::DnsName(name.as_str().try_into()?)];
        let tls_client_auth_san_dns = (plan.auth == Auth::Mtls && which == Which::One).then_some(name);
        let certificate = match tls_client_auth_san_dns {
            Some(_) => params.signed_by(&tls, &self.authority)?,
            None => params.self_signed(&tls)?,
        };
        let mut jwk = Jwk::generate_rsa_key(2048)?;
        jwk.set_key_id(client_id.as_str());
        jwk.set_key_use("sig");
        jwk.set_algorithm("PS256");
        let file = |ending: &str| PathBuf::from(format!("{client_id}.{ending}"));
        let (jwks, pem, key) = (file("private.jwks.json"), file("pem"), file("key"));
        write_secret(&self.folder.join(&jwks), &format!("{:#}\n", json!({"keys": [jwk.as_ref()]})))?;
        write(&self.folder.join(&pem), &certificate.pem())?;
        write_secret(&self.folder.join(&key), &tls.serialize_pem())?;
        Ok(Entry { client_id, scope: SCOPE.to_owned(), jwks, certificate: pem, key, tls_client_auth_san_dns })
    }
}

fn authority() -> CertificateParams {
    let mut params = named("conformance client authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
