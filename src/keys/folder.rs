//! [`Folder`]: the keys folder on disk. It is read all or nothing, changed by one operator at a time, and a power cut leaves what was there before or what is there now.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;

use crate::clock::Timestamp;
use crate::jose::jwk::KeySet;
use crate::jose::keyring::SigningKey;
use crate::jose::life::Life;
use crate::keys::private::{private, whole};
use crate::keys::{Entry, Manifest, VERSION, sealed};
use crate::secret::{Digest, Secret, Vault};

/// What says which key is what.
const MANIFEST: &str = "keyring.json";
/// Whoever changes something holds it.
const LOCK: &str = "keyring.lock";

/// What a server needs of the folder.
pub struct Contents {
    /// The keys that it has the private part of.
    pub keys: Vec<(SigningKey, Life)>,
    /// The public parts of all that it stands by, and may have no private part of any more.
    pub known: Option<KeySet>,
    /// The kids of those that were revoked.
    pub revoked: Vec<String>,
    /// Whether `keyring.json` says so.
    pub kept: bool,
}

/// A keys folder, and what its private keys are sealed in, if they are.
#[derive(Clone)]
pub struct Folder(PathBuf, Option<Vault>);

/// What is to be in force.
pub struct Draft {
    /// Without the private keys that nobody needs any more.
    manifest: Manifest,
    useless: Vec<String>,
}

/// The right to change the folder, until it is dropped.
pub struct Locked<'a> {
    folder: &'a Folder,
    _lock: File,
}

impl Folder {
    /// The one at `path`, wherever that leads by and by.
    pub fn at(path: &Path, vault: Option<Vault>) -> Self {
        Self(path.to_owned(), vault)
    }

    /// The same where it is now: nothing that is changed in it ends up in another one that is put in its place.
    ///
    /// # Errors
    /// It is not there.
    pub fn where_it_is(&self) -> Result<Self, String> {
        let found = self.0.canonicalize().map_err(|error| format!("{}: {error}", self.0.display()))?;
        Ok(Self(found, self.1.clone()))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Everything a server needs. Without `keyring.json` every `.pem` file is a key that has always signed.
    ///
    /// # Errors
    /// Everything that is wrong with it, in words.
    pub fn contents(&self) -> Result<Contents, Vec<String>> {
        let Some(manifest) = self.manifest().map_err(|why| vec![why])? else {
            let keys: Vec<_> = self.loose()?.into_iter().map(|(_, key)| (key, Life::ALWAYS)).collect();
            if keys.is_empty() {
                return Err(vec![format!(
                    "{} has no .pem file; `countersign keys generate` makes the first key",
                    self.0.display()
                )]);
            }
            return Ok(Contents { keys, known: None, revoked: Vec::new(), kept: false });
        };
        let (mut keys, mut known, mut faults) = (Vec::new(), Vec::new(), Vec::new());
        let mut revoked = Vec::new();
        for entry in &manifest.keys {
            if entry.life.revoked.is_none() {
                known.push(&entry.public);
            } else {
                revoked.push(entry.kid.clone());
            }
            match self.private(entry) {
                Ok(key) => keys.extend(key.map(|key| (key, entry.life))),
                Err(why) => faults.push(why),
            }
        }
        let known = if known.is_empty() { Ok(None) } else { KeySet::of_ones_own(known).map(Some) };
        match known {
            Ok(known) if faults.is_empty() => Ok(Contents { keys, known, revoked, kept: true }),
            Ok(_) => Err(faults),
            Err(why) => Err(vec![format!("{}: a public key in it: {why}", self.0.join(MANIFEST).display())]),
        }
    }

    /// `keyring.json`, if there is one.
    ///
    /// # Errors
    /// It cannot be read, or is not one.
    pub fn manifest(&self) -> Result<Option<Manifest>, String> {
        let path = self.0.join(MANIFEST);
        for place in [&self.0, &path] {
            let open = fs::metadata(place).is_ok_and(|meta| meta.permissions().mode() & 0o022 != 0);
            if open {
                return Err(format!("{} can be written by others; run: chmod go-w {0}", place.display()));
            }
        }
        if fs::metadata(&path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
            return Ok(None);
        }
        let text = whole(&path).map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
        let manifest: Manifest =
            serde_json::from_str(&text).map_err(|error| format!("{} is not a key ring: {error}", path.display()))?;
        if manifest.version != VERSION {
            return Err(format!(
                "{} is of version {}, which this program does not know",
                path.display(),
                manifest.version
            ));
        }
        Ok(Some(manifest))
    }

    /// `keyring.json`, or what it would be for the keys that lie there.
    ///
    /// # Errors
    /// What is there cannot be read.
    pub fn view(&self) -> Result<Manifest, String> {
        if let Some(manifest) = self.manifest()? {
            return Ok(manifest);
        }
        let loose = self.loose().map_err(|faults| faults.join("; "))?;
        let keys = loose.into_iter().map(|(name, key)| of(&key, (name, Life::ALWAYS))).collect();
        Ok(Manifest { keys, ..Manifest::empty() })
    }

    /// The `.pem` files that `manifest` does not name: left behind by a power cut, or put there by hand.
    pub fn strays(&self, manifest: &Manifest) -> Vec<String> {
        let named = |name: &String| manifest.keys.iter().any(|entry| entry.file.as_ref() == Some(name));
        let mut strays: Vec<String> = pem_files(&self.0).unwrap_or_default();
        strays.retain(|name| !named(name));
        strays
    }

    /// Waits until nobody else changes the folder; `wait` is called if that takes long.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn lock(&self, wait: impl FnOnce()) -> Result<Locked<'_>, String> {
        let path = self.0.join(LOCK);
        let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let unlockable = |error: io::Error| format!("{}: {error}", path.display());
        let file = file.map_err(unlockable)?;
        if file.try_lock().is_err() {
            wait();
            file.lock().map_err(unlockable)?;
        }
        Ok(Locked { folder: self, _lock: file })
    }

    /// The key of an entry, if its private part is still needed.
    fn private(&self, entry: &Entry) -> Result<Option<SigningKey>, String> {
        let Some(name) = &entry.file else { return Ok(None) };
        if name.contains('/') {
            return Err(format!("{}: {name} is not a file beside it", self.0.join(MANIFEST).display()));
        }
        let path = self.0.join(name);
        let key = self.read(&path)?;
        if key.kid() == entry.kid {
            Ok(Some(key))
        } else {
            Err(format!("{}: it is another key than keyring.json says", path.display()))
        }
    }

    fn read(&self, path: &Path) -> Result<SigningKey, String> {
        let pem = sealed::open(private(path)?, self.1.as_ref());
        pem.map_err(str::to_owned)
            .and_then(|pem| parse(pem.reveal()))
            .map_err(|why| format!("{}: {why}", path.display()))
    }

    /// The private keys of `manifest` that are not sealed, though they should be.
    pub fn unsealed_files<'a>(&self, manifest: &'a Manifest) -> Vec<&'a str> {
        let files = manifest.keys.iter().filter_map(|entry| entry.file.as_deref());
        let plain = |name: &&str| private(&self.0.join(name)).is_ok_and(|text| !sealed::is_sealed(text.reveal()));
        if self.1.is_some() { files.filter(plain).collect() } else { Vec::new() }
    }

    /// The keys of a folder that has no `keyring.json`, each with the name of its file.
    fn loose(&self) -> Result<Vec<(String, SigningKey)>, Vec<String>> {
        let names =
            pem_files(&self.0).map_err(|error| vec![format!("{} cannot be read: {error}", self.0.display())])?;
        let (mut keys, mut faults) = (Vec::new(), Vec::new());
        for name in names {
            match self.read(&self.0.join(&name)) {
                Ok(key) => keys.push((name, key)),
                Err(why) => faults.push(why),
            }
        }
        if faults.is_empty() { Ok(keys) } else { Err(faults) }
    }
}

impl Locked<'_> {
    /// Has `keyring.json` say what goes without saying, where there is none.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn begin(&self, manifest: &Manifest) -> Result<(), String> {
        if self.folder.manifest()?.is_some() { Ok(()) } else { self.write(MANIFEST, &text(manifest)?) }
    }

    /// Puts a private key beside the others, PEM, sealed where they are.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&self, kid: &str, pem: &Secret) -> Result<(), String> {
        let text = self.folder.1.as_ref().map_or_else(|| pem.reveal().to_owned(), |vault| sealed::seal(pem, vault));
        self.write(&file(kid), &text)
    }

    /// Has `draft` in force, and then destroys the private keys that it has no use for.
    ///
    /// # Errors
    /// It cannot be written; what was there before is in force.
    pub fn put(&self, draft: Draft) -> Result<(), String> {
        self.write(MANIFEST, &text(&draft.manifest)?)?;
        for name in draft.useless {
            let path = self.folder.0.join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(format!("{} has to be removed by hand: {error}", path.display()));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Beside it first, then in its place, and on the disk before anybody is told.
    fn write(&self, name: &str, content: &str) -> Result<(), String> {
        let (path, beside) = (self.folder.0.join(name), self.folder.0.join(format!("{name}.new")));
        let written = || -> io::Result<()> {
            // What a power cut left there is not written into: it may be open to others, or lead elsewhere.
            if fs::symlink_metadata(&beside).is_ok() {
                fs::remove_file(&beside)?;
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
            file.write_all(content.as_bytes())?;
            file.sync_all()?;
            fs::rename(&beside, &path)?;
            File::open(&self.folder.0)?.sync_all()
        };
        written().map_err(|error| format!("{}: {error}", path.display()))
    }
}

impl Draft {
    /// Of `manifest` at `now`.
    pub fn of(mut manifest: Manifest, now: Timestamp) -> Self {
        let mut useless = Vec::new();
        for entry in &mut manifest.keys {
            if !entry.life.state(now).is_published() {
                useless.extend(entry.file.take());
            }
        }
        Self { manifest, useless }
    }

    /// SHA-256 of what `keyring.json` will be.
    pub fn digest(&self) -> Digest {
        digest(&self.manifest)
    }
}

/// SHA-256 of `keyring.json` as this program writes it.
pub fn digest(manifest: &Manifest) -> Digest {
    Digest::of(text(manifest).unwrap_or_default().as_bytes())
}

fn text(manifest: &Manifest) -> Result<String, String> {
    serde_json::to_string_pretty(manifest).map(|text| format!("{text}\n")).map_err(|error| error.to_string())
}

/// The entry of a private key that is published from `now` on, PEM.
///
/// # Errors
/// It is no key that signs here, or none that anybody could verify.
pub fn entry(pem: &str, now: Timestamp) -> Result<Entry, String> {
    let key = parse(pem)?;
    KeySet::of_ones_own([key.public()]).map_err(|why| why.to_string())?;
    let name = file(key.kid());
    Ok(of(&key, (name, Life::published(now))))
}

fn of(key: &SigningKey, (file, life): (String, Life)) -> Entry {
    let (kid, alg) = (key.kid().to_owned(), key.alg().name().to_owned());
    Entry { kid, alg, file: Some(file), public: key.public().clone(), life }
}

/// The file that the private key of that id is kept in.
fn file(kid: &str) -> String {
    format!("{kid}.pem")
}

fn parse(pem: &str) -> Result<SigningKey, String> {
    let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| "no PKCS#8 key in PEM".to_owned())?;
    SigningKey::from_pkcs8(der.secret_pkcs8_der()).map_err(|why| why.to_string())
}

fn pem_files(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "pem") {
            names.extend(path.file_name().and_then(|name| name.to_str()).map(str::to_owned));
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
    use serde_json::json;

    use super::*;
    use crate::jose::alg::Alg;
    use crate::jose::jws::Compact;

    const NOW: Timestamp = Timestamp::from_seconds(1_000);

    #[test]
    fn what_was_retired_is_known_without_its_private_part_and_what_was_revoked_is_not() {
        let temporary = tempfile::tempdir().expect("a folder");
        let folder = Folder::at(temporary.path(), None);
        let locked = folder.lock(|| panic!("nobody else is there")).expect("it is ours");
        let past = Some(Timestamp::from_seconds(900));
        let begun = Life { signs_from: past, ..Life::published(Timestamp::from_seconds(800)) };
        let lives = [
            begun,
            Life { signs_until: past, verifies_until: past, ..begun },
            Life { revoked: past, ..begun },
            Life { signs_until: past, verifies_until: Some(Timestamp::from_seconds(1_001)), ..begun },
        ];
        let (mut manifest, mut tokens) = (Manifest::empty(), Vec::new());
        for life in lives {
            let pem = Secret::new(KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key").serialize_pem());
            let made = entry(pem.reveal(), NOW).expect("it signs");
            tokens
                .push(parse(pem.reveal()).expect("it signs").sign("JWT", &json!({"sub": "alice"})).expect("it signs"));
            locked.keep(&made.kid, &pem).expect("written");
            manifest.add(Entry { life, ..made }).expect("it is new");
        }
        locked.put(Draft::of(manifest, NOW)).expect("written");
        let Contents { keys, known, revoked, kept } = folder.contents().unwrap_or_else(|faults| panic!("{faults:?}"));
        assert!(kept && revoked.len() == 1);
        assert_eq!(keys.len(), 2, "the one that signs, and the one that is published for what it signed");
        assert_eq!(pem_files(folder.path()).expect("readable").len(), 2, "the others are destroyed");
        let known = known.expect("there are some");
        let verifies = |token: &Secret| {
            Compact::parse(token.reveal(), 8192).expect("well-formed").verify(&known, Alg::Es256).is_ok()
        };
        assert_eq!(tokens.iter().map(verifies).collect::<Vec<_>>(), [true, true, false, true]);
    }
}
