//! [`Desk`]: the configured store, without a server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};

use crate::audit::Event;
use crate::cli::operator::{Refused, load, record};
use crate::clock::{Clock as _, System, Timestamp};
use crate::config::Config;
use crate::config::store::Storage;
use crate::error::Rejection;
use crate::keys::folder::private;
use crate::secret::{self, Secret};
use crate::store::Store;
use crate::store::redis::place::Credentials;

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
        let backend = runtime.block_on(config.backend(Arc::new(System)));
        if let Some(trouble) = backend.trouble() {
            return Err(Refused::Failed(trouble.to_string()));
        }
        let beside = (config.profile.clone(), Arc::new(secret::System) as _);
        let store = Store::new((backend, vault), config.clients.clone(), beside);
        Ok(Self { config, store, runtime })
    }

    /// Has the store do something.
    pub(super) fn ask<'a, T, F: Future<Output = Result<T, Rejection>>>(
        &'a self,
        what: impl FnOnce(&'a Store) -> F,
    ) -> Result<T, Refused> {
        self.runtime.block_on(what(&self.store)).map_err(|refusal| Refused::Failed(refusal.cause.to_owned()))
    }

    pub(super) fn record(&self, events: &[Event<'_>]) -> Result<(), Refused> {
        record(&self.config, events, now())
    }
}

/// By the clock of this machine, as a server's.
pub(super) fn now() -> Timestamp {
    System.now()
}
