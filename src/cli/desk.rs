//! [`Desk`]: the configured store, without a server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};

use crate::audit::Event;
use crate::cli::operator::{Refused, load, recorded, user};
use crate::clock::{Clock as _, System, Timestamp};
use crate::config::Config;
use crate::config::store::Storage;
use crate::error::Rejection;
use crate::keys::private::private;
use crate::secret::{self, Secret};
use crate::store::Store;
use crate::store::backend::{Backend as _, Key};
use crate::store::redis::Redis;
use crate::store::redis::place::{Credentials, Place};

/// As whom to appear to the store.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Login {
    /// A user of Redis who may list keys (docs/redis.md); without it, the configuration's
    #[arg(long, value_name = "NAME", global = true, requires = "store_password")]
    store_user: Option<String>,
    /// The file with that user's password, in one line
    #[arg(long, value_name = "FILE", global = true, requires = "store_user")]
    store_password: Option<PathBuf>,
}

/// The configured store, without a server.
pub(super) struct Desk {
    pub(super) config: Config,
    /// Who works at it.
    pub(super) by: String,
    store: Store,
    runtime: Runtime,
}

impl Desk {
    /// Opens the store of the configuration at `path`, as whom `login` says.
    pub(super) fn open(path: &Path, login: &Login) -> Result<Self, Refused> {
        Self::of(load(path)?, path, login)
    }

    /// The same, of a `config` that was read at `path`.
    pub(super) fn of(mut config: Config, path: &Path, login: &Login) -> Result<Self, Refused> {
        let Storage::Redis(place, vault) = &mut config.storage else {
            return Err(Refused::Wrong(format!(
                "{}: store.kind is memory: what is in it only its own server knows, until it ends. This works on a Redis",
                path.display()
            )));
        };
        if let (Some(user), Some(file)) = (&login.store_user, &login.store_password) {
            let text = private(file).map_err(|why| Refused::Wrong(format!("--store-password: {why}")))?;
            let password = Secret::new(text.reveal().trim_end_matches('\n').to_owned());
            place.credentials = Some(Credentials { user: user.clone(), password });
        }
        let vault = vault.clone();
        let runtime = Builder::new_multi_thread().enable_all().build().map_err(|error| Refused::failed(&error))?;
        // Whether it is fit to be relied on is for servers to ask: an operator may be here because it is not.
        let backend = Arc::new(runtime.block_on(Redis::at(Place::clone(place), Arc::new(System), false)));
        if let Some(trouble) = backend.trouble() {
            let named = login.store_user.is_some();
            let trouble = trouble.to_string();
            let trouble = if named {
                trouble.replace("store.user or store.password", "--store-user or --store-password")
            } else {
                trouble
            };
            eprintln!("{trouble}");
        }
        let beside = (config.profile.clone(), Arc::new(secret::System) as _);
        let store = Store::new((backend, vault), config.clients.clone(), beside);
        Ok(Self { config, by: user(), store, runtime })
    }

    /// Has the store do something.
    pub(super) fn ask<'a, T, F: Future<Output = Result<T, Rejection>>>(
        &'a self,
        what: impl FnOnce(&'a Store) -> F,
    ) -> Result<T, Refused> {
        self.runtime.block_on(what(&self.store)).map_err(|refusal| Refused::Failed(refusal.cause.to_owned()))
    }

    /// Does `what` by the name of `did`, once `event` is recorded.
    pub(super) fn recorded<T>(
        &self,
        did: &str,
        event: Event<'_>,
        what: impl FnOnce() -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        recorded((self.config.audit.as_ref(), &self.by, did), &[event], what)
    }
}

/// By the clock of this machine, as a server's.
pub(super) fn now() -> Timestamp {
    System.now()
}

/// What there is to say of records that this version cannot read, after everything else was done.
pub(super) fn unread(keys: &[Key]) -> Result<(), Refused> {
    let Some(first) = keys.first() else { return Ok(()) };
    let count = keys.len();
    Err(Refused::Failed(format!(
        "{count} record{} of another version of this program cannot be read and stay as they are, the first of them {:?} {}; use the program that the servers are of",
        if count == 1 { "" } else { "s" },
        first.family,
        first.digest
    )))
}
