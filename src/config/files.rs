//! `Files`: certificates, keys and key sets that the configuration names. Private keys that others can read are refused.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use crate::clock::Timestamp;
use crate::config::look::Look;
use crate::config::reader::Section;
use crate::http::tls::{Chain, ends};
use crate::jose::jwk::KeySet;
use crate::keys::folder::Folder;
use crate::keys::private::{exposed, whole};
use crate::secret::{Secret, Vault};
use crate::wire::json::{self, Object};

/// The files beside a configuration.
pub(super) struct Files {
    folder: PathBuf,
    /// What was read, or would have been.
    read: RefCell<Vec<Look>>,
    /// When the certificates end that were read.
    ends: RefCell<Vec<Ending>>,
}

/// A file of certificates, and when the first of them ends.
#[derive(Clone, Debug)]
pub struct Ending {
    /// Where the configuration names it.
    pub key: String,
    /// Its path there.
    pub path: String,
    /// When.
    pub ends: Timestamp,
}

impl Files {
    /// Paths are relative to the folder of `config`.
    pub(super) fn beside(config: &Path) -> Self {
        Self {
            folder: config.parent().unwrap_or(Path::new("")).to_owned(),
            read: RefCell::default(),
            ends: RefCell::default(),
        }
    }

    /// The certificates that were read.
    pub(super) fn ends(&self) -> Vec<Ending> {
        self.ends.borrow().clone()
    }

    /// Everything that was read.
    pub(super) fn read(&self) -> Vec<Look> {
        self.read.borrow().clone()
    }

    /// A text file.
    pub(super) fn text(&self, section: &Section<'_>, key: &str, path: &str) -> Option<String> {
        self.whole(section, key, &self.folder.join(path))
    }

    /// A PEM file of certificates, at least one.
    pub(super) fn certificates(
        &self,
        section: &Section<'_>,
        key: &str,
        path: &str,
    ) -> Option<Vec<CertificateDer<'static>>> {
        let text = self.text(section, key, path)?;
        let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        match found {
            Ok(found) if !found.is_empty() => {
                let first = found.iter().filter_map(ends).min();
                let ending = |ends| Ending { key: section.name(key), path: path.to_owned(), ends };
                self.ends.borrow_mut().extend(first.map(ending));
                Some(found)
            }
            _ => {
                section.fault(key, &format!("{path} has no certificate in PEM"));
                None
            }
        }
    }

    /// A PEM file of certificate authorities.
    pub(super) fn authorities(&self, section: &Section<'_>, key: &str, path: &str) -> Option<RootCertStore> {
        let mut store = RootCertStore::empty();
        let (_, refused) = store.add_parsable_certificates(self.certificates(section, key, path)?);
        if refused > 0 || store.is_empty() {
            section.fault(key, &format!("{path} has a certificate that cannot be an authority"));
            return None;
        }
        Some(store)
    }

    /// A PEM file of certificate revocation lists.
    pub(super) fn crls(
        &self,
        section: &Section<'_>,
        key: &str,
        path: &str,
    ) -> Option<Vec<CertificateRevocationListDer<'static>>> {
        let text = self.text(section, key, path)?;
        let found: Result<Vec<_>, _> = CertificateRevocationListDer::pem_slice_iter(text.as_bytes()).collect();
        let found = found.ok().filter(|found| !found.is_empty());
        if found.is_none() {
            section.fault(key, &format!("{path} has no CRL in PEM"));
        }
        found
    }

    /// The certificate chain at one key and the private key at another.
    pub(super) fn identity(&self, section: &mut Section<'_>, certificate: &str, key: &str) -> Option<Chain> {
        let chain = section.string(certificate).and_then(|path| self.certificates(section, certificate, &path));
        let private = section.string(key).and_then(|path| {
            let text = self.private(section, key, &self.folder.join(path))?;
            let found = PrivateKeyDer::from_pem_slice(text.as_bytes());
            found.map_err(|_| section.fault(key, "the file has no private key in PEM")).ok()
        });
        chain.zip(private)
    }

    /// The same, and as PEM too.
    pub(super) fn pem_identity(
        &self,
        section: &mut Section<'_>,
        certificate: &str,
        key: &str,
    ) -> Option<(Chain, (String, Secret))> {
        let [of_certificate, of_key] = [certificate, key].map(|name| section.peek(name).map(str::to_owned));
        let chain = self.identity(section, certificate, key)?;
        let text = self.text(section, certificate, &of_certificate?)?;
        Some((chain, (text, Secret::new(self.text(section, key, &of_key?)?))))
    }

    /// The same with exactly one line.
    pub(super) fn secret(&self, section: &Section<'_>, key: &str, path: &str) -> Option<Secret> {
        let lines = self.secrets(section, key, path)?;
        if lines.len() > 1 {
            section.fault(key, "the file has more than one line; there is one key");
        }
        lines.into_iter().next()
    }

    /// A file with one line that nobody but its owner may read.
    pub(super) fn password(&self, section: &Section<'_>, key: &str, path: &str) -> Option<Secret> {
        let text = Secret::new(self.private(section, key, &self.folder.join(path))?);
        let line = text.reveal().strip_suffix('\n').unwrap_or(text.reveal());
        if line.is_empty() || line.chars().any(char::is_control) {
            section.fault(key, &format!("{path} has to have one line, and something in it"));
            return None;
        }
        Some(Secret::new(line.to_owned()))
    }

    /// A file that will be appended to: its folder has to be there.
    pub(super) fn to_be_written(&self, section: &Section<'_>, key: &str, path: &str) -> Option<PathBuf> {
        let path = self.folder.join(path);
        let folder = path.parent().filter(|folder| folder.is_dir() || folder.as_os_str().is_empty());
        if folder.is_none() || path.is_dir() {
            section.fault(key, &format!("{} is a folder, or in one that is not there", path.display()));
            return None;
        }
        Some(path)
    }

    /// A JSON object.
    pub(super) fn json(&self, section: &Section<'_>, key: &str, path: &str) -> Option<Object> {
        let text = self.text(section, key, path)?;
        let strict = json::object(text.as_bytes());
        strict.map_err(|_| section.fault(key, &format!("{path} is not strict JSON"))).ok()
    }

    /// A file that nobody but its owner may read, line by line, without the empty ones.
    pub(super) fn lines(&self, section: &Section<'_>, key: &str, path: &str) -> Option<Vec<Secret>> {
        let text = Secret::new(self.private(section, key, &self.folder.join(path))?);
        let lines = text.reveal().lines().map(str::trim).filter(|line| !line.is_empty());
        Some(lines.map(|line| Secret::new(line.to_owned())).collect())
    }

    /// The same, of secrets that nobody guesses.
    pub(super) fn secrets(&self, section: &Section<'_>, key: &str, path: &str) -> Option<Vec<Secret>> {
        let lines = self.lines(section, key, path)?;
        if lines.iter().any(|line| line.reveal().len() < 32) || lines.is_empty() {
            section.fault(key, &format!("{path} has to have lines of at least 32 characters each, and one at least"));
        }
        Some(lines)
    }

    /// A JWK Set of public keys.
    pub(super) fn key_set(&self, section: &Section<'_>, key: &str, path: &str) -> Option<KeySet> {
        let text = self.text(section, key, path)?;
        KeySet::parse(text.as_bytes()).map_err(|why| section.fault(key, &format!("{path}: {why}"))).ok()
    }

    /// A folder of keys that this server signs with, and what they are sealed in.
    pub(super) fn folder(&self, section: &Section<'_>, key: &str, (path, vault): (&str, Option<Vault>)) -> Folder {
        let folder = self.folder.join(path);
        self.read.borrow_mut().push(Look::at(section.name(key), &folder));
        Folder::at(&folder, vault)
    }

    /// A file that nobody but its owner may read.
    fn private(&self, section: &Section<'_>, key: &str, path: &Path) -> Option<String> {
        if let Some(why) = exposed(path) {
            section.fault(key, &why);
        }
        self.whole(section, key, path)
    }

    fn whole(&self, section: &Section<'_>, key: &str, path: &Path) -> Option<String> {
        self.read.borrow_mut().push(Look::at(section.name(key), path));
        let unreadable = |why: String| section.fault(key, &format!("{} cannot be read: {why}", path.display()));
        whole(path).map_err(unreadable).ok()
    }
}
