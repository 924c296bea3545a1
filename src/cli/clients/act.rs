//! What each `countersign clients` command does.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::slice;

use serde_json::{Value, json};

use crate::audit::Event;
use crate::cli::clients::shown::{Known, table};
use crate::cli::clients::{Command, Options};
use crate::cli::desk::{Desk, now};
use crate::cli::operator::{How, Refused, confirm, load, say, user};
use crate::config::Config;
use crate::config::store::Storage;
use crate::endpoint::register::registered;
use crate::profile::enrolled::Enrolled;
use crate::profile::enrolment::{self, Unfit};
use crate::profile::registration::{LARGEST, completed};
use crate::secret::{Digest, Secret, System};
use crate::store::Store;
use crate::wire::json::{self, Object};

/// The largest file that is read.
const LARGEST_FILE: u64 = 64 << 20;

pub(super) fn run(options: Options) -> Result<(), Refused> {
    let Options { config: path, json, login, command } = options;
    let config = load(&path)?;
    let desk = |config| Desk::of(config, &path, &login);
    match command {
        Command::List | Command::Show { .. } => {
            let (config, enrolled) = look(config, desk)?;
            let mut clients: Vec<Known> = config.clients.iter().map(|it| Known::Configured(it.clone(), true)).collect();
            clients.extend(config.disabled.iter().map(|it| Known::Configured(it.clone(), false)));
            clients.extend(enrolled.into_iter().map(Known::Enrolled));
            match command {
                Command::Show { client_id } => show(&clients, &client_id, (&config, json)),
                _ if json => {
                    let all: Vec<Value> = clients.iter().map(|client| client.json(&config.profile)).collect();
                    say(&format!("{:#}\n", json!({"clients": all})))
                }
                _ => say(&table(&clients, &config.profile)),
            }
        }
        Command::Add { file, how } => add(&desk(config)?, &file, how),
        Command::Import { file, how } => import(&desk(config)?, &file, how),
        Command::Disable { client_id, how } => {
            change((config, desk), (&client_id, "disable", Some(true)), (how, &path))
        }
        Command::Enable { client_id, how } => change((config, desk), (&client_id, "enable", Some(false)), (how, &path)),
        Command::Remove { client_id, how } => change((config, desk), (&client_id, "remove", None), (how, &path)),
    }
}

/// Who is registered in the store, if anybody but its own server can look there.
fn look(
    config: Config,
    desk: impl FnOnce(Config) -> Result<Desk, Refused>,
) -> Result<(Config, Vec<Enrolled>), Refused> {
    if matches!(config.storage, Storage::Memory(_)) {
        eprintln!("store.kind is memory: who registered with its server, that server alone knows");
        return Ok((config, Vec::new()));
    }
    let desk = desk(config)?;
    let enrolled = desk.ask(Store::enrolled_clients)?;
    Ok((desk.config, enrolled))
}

fn show(clients: &[Known], client_id: &str, (config, as_json): (&Config, bool)) -> Result<(), Refused> {
    let found = clients.iter().find(|client| client.client_id() == client_id).ok_or_else(|| unknown(client_id))?;
    let shown = found.json(&config.profile);
    if as_json {
        return say(&format!("{shown:#}\n"));
    }
    let members = shown["registration"].get("members").map_or(String::new(), |members| format!("{members:#}\n"));
    say(&format!("{}{members}", table(slice::from_ref(found), &config.profile)))
}

fn unknown(client_id: &str) -> Refused {
    Refused::Wrong(format!("there is no client {client_id}; `countersign clients list` shows them"))
}

fn read(file: &Path) -> Result<Vec<u8>, Refused> {
    let mut text = Vec::new();
    let read = if file == Path::new("-") {
        io::stdin().lock().take(LARGEST_FILE).read_to_end(&mut text)
    } else {
        fs::File::open(file).and_then(|file| file.take(LARGEST_FILE).read_to_end(&mut text))
    };
    read.map(|_| text).map_err(|error| Refused::Wrong(format!("{}: {error}", file.display())))
}

fn add(desk: &Desk, file: &Path, how: How) -> Result<(), Refused> {
    let wrong = |why: &dyn std::fmt::Display| Refused::Wrong(format!("{}: {why}", file.display()));
    let given = json::object(&read(file)?).map_err(|why| wrong(&why))?;
    let profile = &desk.config.profile;
    let members = completed((given, &Object::new()), profile);
    if Value::Object(members.clone()).to_string().len() > LARGEST {
        return Err(wrong(&"the metadata is larger than 16 KiB"));
    }
    let (client_id, token) = (Secret::draw(&System), Secret::draw(&System));
    let enrolled = Enrolled::new(client_id.reveal().to_owned(), token.digest(), (members, Object::new()), now());
    fits(&enrolled, desk).map_err(|why| wrong(&why))?;
    if how.dry_run {
        return say(&format!("{}(nothing was done)\n", table(&[Known::Enrolled(enrolled)], profile)));
    }
    keep(desk, slice::from_ref(&enrolled), "add")?;
    let answer = serde_json::to_string_pretty(&registered(profile, enrolled, token));
    say(&format!("{}\n", answer.map_err(|error| Refused::failed(&error))?))
}

/// Every member that does not fit, a line each.
fn fits(enrolled: &Enrolled, desk: &Desk) -> Result<(), String> {
    enrolment::ciba(&enrolled.client_id, &enrolled.members, &desk.config.profile).map(drop).map_err(|unfit| {
        let says = |Unfit { member, says }: &Unfit| format!("{member}: {says}");
        unfit.iter().map(says).collect::<Vec<_>>().join("\n")
    })
}

fn import(desk: &Desk, file: &Path, how: How) -> Result<(), Refused> {
    let wrong = |why: &dyn std::fmt::Display| Refused::Wrong(format!("{}: {why}", file.display()));
    let listed: Value = serde_json::from_slice(&read(file)?).map_err(|why| wrong(&why))?;
    let entries = listed["clients"].as_array().ok_or_else(|| wrong(&"is not what `clients list --json` prints"))?;
    let registrations = entries.iter().filter_map(|entry| entry.get("registration"));
    let mut fresh: Vec<Enrolled> = Vec::new();
    let mut known = 0;
    for registration in registrations {
        let enrolled: Enrolled = serde_json::from_value(registration.clone()).map_err(|why| wrong(&why))?;
        let id = &enrolled.client_id;
        if !Secret::new(id.clone()).could_be_drawn() {
            return Err(wrong(&format!("{id}: is no id that is drawn here; put that client into the configuration")));
        }
        fits(&enrolled, desk).map_err(|why| wrong(&format!("{id}: {why}")))?;
        match desk.ask(|store| store.registration(id))? {
            None if fresh.iter().any(|other| other.client_id == *id) => {
                return Err(wrong(&format!("{id} is in it twice")));
            }
            None => fresh.push(enrolled),
            Some(there) if digest(&there) == digest(&enrolled) => known += 1,
            Some(_) => return Err(wrong(&format!("{id} is registered here already, and otherwise"))),
        }
    }
    let shown = table(&fresh.iter().cloned().map(Known::Enrolled).collect::<Vec<_>>(), &desk.config.profile);
    let there = if known > 0 { format!("{known} are there already\n") } else { String::new() };
    if how.dry_run {
        return say(&format!("{shown}{there}(nothing was done)\n"));
    }
    keep(desk, &fresh, "import")?;
    say(&format!("{shown}{there}"))
}

/// Records that they are registered, and registers them.
fn keep(desk: &Desk, clients: &[Enrolled], did: &str) -> Result<(), Refused> {
    let by = user();
    let mut events = Vec::new();
    for enrolled in clients {
        let (client_id, after) = (enrolled.client_id.as_str(), Some(digest(enrolled)));
        events.push(Event::ClientChanged { by: &by, did, client_id, before: None, after });
    }
    desk.record(&events)?;
    for (done, enrolled) in clients.iter().enumerate() {
        if done > 0 && done % 1_000 == 0 {
            eprintln!("{done} of {}", clients.len());
        }
        desk.ask(|store| store.enrol(enrolled))?;
    }
    Ok(())
}

/// Takes a client of the store out of service or back, or forgets it.
fn change(
    (config, desk): (Config, impl FnOnce(Config) -> Result<Desk, Refused>),
    (client_id, did, disabled): (&str, &str, Option<bool>),
    (how, path): (How, &Path),
) -> Result<(), Refused> {
    if config.clients.iter().chain(&config.disabled).any(|client| client.client_id == client_id) {
        return Err(Refused::Wrong(format!(
            "{client_id} is registered in {}: `disabled = true` in its entry takes it out of service, and a running server notices within a second or two",
            path.display()
        )));
    }
    let desk = desk(config)?;
    let before = desk.ask(|store| store.registration(client_id))?.ok_or_else(|| unknown(client_id))?;
    let name = before.members.get("client_name").and_then(Value::as_str).unwrap_or_default();
    if disabled == Some(before.disabled) {
        return say(&format!(
            "nothing to do: {client_id} ({name}) is {} already\n",
            if before.disabled { "disabled" } else { "in service" }
        ));
    }
    let becomes = match disabled {
        Some(true) => "is refused at every endpoint from now on; what it was given is held back until it is enabled",
        Some(false) => "is in service again, and what it was given is good again",
        None => "is forgotten for good, and what it was given is dead",
    };
    let text = format!("{client_id} ({name}) {becomes}");
    if how.dry_run {
        return say(&format!("{text}\n(nothing was done)\n"));
    }
    if disabled != Some(false) && !how.yes {
        confirm(&text)?;
    }
    let after = disabled.map(|disabled| digest(&Enrolled { disabled, ..before.clone() }));
    let by = user();
    desk.record(&[Event::ClientChanged { by: &by, did, client_id, before: Some(digest(&before)), after }])?;
    if !desk.ask(|store| store.administer(client_id, disabled, now()))? {
        return Err(Refused::Failed(format!("{client_id} was deleted meanwhile")));
    }
    say(&format!("{text}\n"))
}

fn digest(enrolled: &Enrolled) -> Digest {
    Digest::of(json!(enrolled).to_string().as_bytes())
}
