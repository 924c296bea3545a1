//! `[[clients]]` and `[[resource_servers]]`: who is registered. The members are those of the registration specs and mean here what they mean there
//! ([`enrolment`]), except that `jwks` names a file, and that `disabled` takes an entry out of service.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use crate::config::files::Files;
use crate::config::reader::Section;
use crate::profile::Profile;
use crate::profile::client::{CIBA_GRANT, Client};
use crate::profile::enrolment::{self, Unfit};
use crate::profile::members::{MEMBERS, RESOURCE_SERVER_MEMBERS};
use crate::wire::json::Object;

/// What the entries come to.
#[derive(Default)]
pub(super) struct Entries {
    pub(super) in_service: Vec<Client>,
    pub(super) disabled: Vec<Client>,
    /// What each of them was read from, by its `client_id`.
    pub(super) registrations: HashMap<String, Object>,
}

/// Reads both lists; entries with a fault are left out and their faults noted.
pub(super) fn read(
    (clients, resource_servers): (Vec<Section<'_>>, Vec<Section<'_>>),
    (profile, files): (&Profile, &Files),
) -> Entries {
    let mut taken = HashSet::new();
    let clients = clients.into_iter().map(|section| (section, true));
    let resource_servers = resource_servers.into_iter().map(|section| (section, false));
    let mut entries = Entries::default();
    for (mut section, ciba) in clients.chain(resource_servers) {
        if let Some(id) = section.peek("client_id")
            && !taken.insert(id.to_owned())
        {
            section.fault("client_id", "is taken by another entry");
        }
        let disabled = section.optional_flag("disabled").unwrap_or_default();
        if let Some((client, members)) = client(section, ciba, (profile, files)) {
            entries.registrations.insert(client.client_id.clone(), members);
            if disabled { &mut entries.disabled } else { &mut entries.in_service }.push(client);
        }
    }
    entries
}

fn client(mut section: Section<'_>, ciba: bool, (profile, files): (&Profile, &Files)) -> Option<(Client, Object)> {
    let client_id = section.string("client_id");
    if client_id.as_ref().is_some_and(|id| id.len() > 256 || !id.bytes().all(|byte| byte.is_ascii_graphic())) {
        section.fault("client_id", "has to be 1 to 256 visible ASCII characters");
    }
    let known = if ciba { &MEMBERS[..] } else { &RESOURCE_SERVER_MEMBERS[..] };
    // A file that cannot be read has a fault of its own, which is the only one its absence here should have.
    let named = section.has("jwks");
    let jwks = section.optional_string("jwks").and_then(|path| files.json(&section, "jwks", &path));
    let unread = named && jwks.is_none();
    let mut members = section.members(known);
    if ciba {
        members.entry("grant_types").or_insert_with(|| json!([CIBA_GRANT]));
    }
    members.extend(jwks.map(|jwks| ("jwks".to_owned(), Value::Object(jwks))));
    let enrol = if ciba { enrolment::ciba } else { enrolment::resource_server };
    let enrolled = enrol(client_id.as_deref().unwrap_or_default(), &members, profile);
    let enrolled = enrolled.map_err(|unfit| {
        for Unfit { member, says } in unfit.iter().filter(|unfit| !(unread && unfit.member == "jwks")) {
            section.fault(member, says);
        }
    });
    section.end();
    client_id.and(enrolled.ok()).map(|client| (client, members))
}
