//! `[keys]`, `[registration]` and `[[login_hint_token_issuers]]`: what this server signs with, and whose word it takes.

use std::collections::HashSet;

use crate::config::Mode;
use crate::config::files::Files;
use crate::config::reader::Section;
use crate::jose::keyring::{Keyring, Ring};
use crate::keys::folder::{Contents, Folder};
use crate::profile::enrolled::Registrars;
use crate::profile::vouchers::{Voucher, Vouchers};
use crate::secret::{Secret, Vault};
use crate::wire::inbound::is_b64token;

/// The keys in `folder`, and the public ones of those that were retired; and where the folder is.
pub(super) fn keys(mut section: Section<'_>, files: &Files) -> Option<(Keyring, Folder)> {
    let folder = folder(&mut section, files);
    let contents = folder.as_ref().and_then(|folder| {
        let noted = |faults: Vec<String>| faults.iter().for_each(|says| section.fault("folder", says));
        folder.contents().map_err(noted).ok()
    });
    let retired = section.optional_string("retired").map(|path| files.key_set(&section, "retired", &path));
    let retired = retired.map_or(Some(None), |read| read.map(Some));
    let ring = contents.zip(retired).and_then(|(Contents { keys, known, revoked, kept }, retired)| {
        let retired = retired.map(|retired| retired.without(&revoked));
        let known = known.map_or(retired.clone(), |known| Some(known.with(retired.clone())));
        let ring = Ring::new(keys, known).map_err(|why| section.fault("folder", &why.to_string())).ok();
        ring.map(|ring| if kept { ring.kept() } else { ring })
    });
    section.end();
    Some((Keyring::new(ring?), folder?))
}

/// The folder that they are in, and what they are sealed in.
pub(super) fn folder(section: &mut Section<'_>, files: &Files) -> Option<Folder> {
    let key = section.optional_string("sealing_key");
    let vault = key.and_then(|path| files.secret(section, "sealing_key", &path)).map(Vault::of_keys);
    section.string("folder").map(|folder| files.folder(section, "folder", (&folder, vault)))
}

/// Who may register clients.
pub(super) fn registrars(mut section: Section<'_>, files: &Files, mode: Option<Mode>) -> Option<Registrars> {
    #[derive(Clone, Copy)]
    enum Kind {
        Open,
        Token,
        Statement,
    }
    let kinds = [("open", Kind::Open), ("initial_access_token", Kind::Token), ("software_statement", Kind::Statement)];
    let registrars = match section.choice("mode", &kinds) {
        None => {
            section.members(&["initial_access_tokens", "software_statement_issuers"]);
            None
        }
        Some(Kind::Open) => {
            if mode == Some(Mode::Production) {
                section.fault("mode", "open lets anybody register; production refuses it");
            }
            Some(Registrars::Open)
        }
        Some(Kind::Token) => {
            let path = section.string("initial_access_tokens");
            let tokens = path.and_then(|path| files.secrets(&section, "initial_access_tokens", &path));
            let odd = |token: &Secret| !is_b64token(token.reveal(), 1..=1024);
            if tokens.as_ref().is_some_and(|tokens| tokens.iter().any(odd)) {
                let says = "the file has a token that no bearer could send; letters, digits and -._~+/ are fine";
                section.fault("initial_access_tokens", says);
            }
            tokens.map(|tokens| Registrars::Holders(tokens.iter().map(Secret::digest).collect()))
        }
        Some(Kind::Statement) => {
            let entries = section.sections("software_statement_issuers");
            if entries.is_empty() {
                section.fault("software_statement_issuers", "is missing; give at least one, with iss and jwks");
            }
            Some(Registrars::Vouched(issuers(entries, files)))
        }
    };
    section.end();
    registrars
}

/// `iss` and keys of each.
pub(super) fn issuers(entries: Vec<Section<'_>>, files: &Files) -> Vouchers {
    let (mut read, mut taken) = (Vec::new(), HashSet::new());
    for mut section in entries {
        let iss = section.string("iss");
        let jwks = section.string("jwks").and_then(|path| files.key_set(&section, "jwks", &path));
        if iss.as_ref().is_some_and(|iss| !taken.insert(iss.clone())) {
            section.fault("iss", "is taken by another entry");
        }
        section.end();
        read.extend(iss.zip(jwks).map(|(iss, keys)| Voucher::new(iss, keys)));
    }
    Vouchers::new(read)
}
