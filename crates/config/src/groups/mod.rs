//! Groups of hosts as ClusterShell configures them, so that an existing installation works unchanged: `groups.conf` with upcalls, YAML
//! files, the search path, and what Slurm and OAR say of the job this runs in.
//!
//! ```no_run
//! use phalanx_config::groups::GroupResolver;
//! use phalanx_nodeset::Parser;
//!
//! let groups = GroupResolver::standard();
//! let nodes = Parser::new().groups(&groups).parse("@compute!@slurmstate:down")?;
//! # Ok::<(), phalanx_nodeset::NodeSetError>(())
//! ```
//!
//! Nothing is read before the first question, and a node set without groups asks none. This module does the I/O; what groups mean in a
//! node set is `phalanx-nodeset`'s business.

mod config;
mod file;
mod host_file;
mod hosts;
mod ini;
mod inventory;
mod job;
mod upcall;
mod yaml;

pub use config::configured_fold_axes;
pub use hosts::{HostListError, NodeList, Place};
pub use inventory::Inventory;
pub use upcall::{DEFAULT_TIME_LIMIT, RunUpcall};

use phalanx_nodeset::{GroupError, GroupSource, Groups};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The directory of the configuration that all users of a machine share.
const SYSTEM_DIRECTORY: &str = "/etc/clustershell";

/// Group sources from ClusterShell's configuration, read when they are first asked.
#[derive(Debug)]
pub struct GroupResolver {
    files: Vec<PathBuf>,
    upcalls: Arc<dyn RunUpcall>,
    loaded: OnceLock<Result<Sources, GroupError>>,
    job: Vec<Box<dyn NamedSource>>,
    inventory: Option<Inventory>,
}

/// The sources that the configuration defines, in the order of their definition.
#[derive(Debug, Default)]
pub(crate) struct Sources {
    pub(crate) list: Vec<Box<dyn NamedSource>>,
    pub(crate) default: Option<String>,
}

/// A source that can be kept and shown.
pub(crate) trait NamedSource: GroupSource + std::fmt::Debug + Send + Sync {}

impl<T: GroupSource + std::fmt::Debug + Send + Sync> NamedSource for T {}

impl Sources {
    /// Adds a source; two of one name are an error.
    pub(crate) fn add(&mut self, source: Box<dyn NamedSource>) -> Result<(), GroupError> {
        if self.get(source.name()).is_some() {
            return Err(GroupError::Configuration(format!("GroupSource name \"{}\" already exists", source.name())));
        }
        self.list.push(source);
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&dyn NamedSource> {
        self.list.iter().map(|source| &**source).find(|source| source.name() == name)
    }
}

impl GroupResolver {
    /// From the files where ClusterShell looks for its `groups.conf`, later ones overriding earlier ones:
    ///
    /// 1. `/etc/clustershell`
    /// 2. `~/.local/etc/clustershell`
    /// 3. `$XDG_CONFIG_HOME/clustershell`, else `~/.config/clustershell`
    /// 4. `$CLUSTERSHELL_CFGDIR`
    #[must_use]
    pub fn standard() -> Self {
        GroupResolver::from_files(search_path("groups.conf"))
    }

    /// From these files, those of them that can be read; later ones override earlier ones.
    #[must_use]
    pub fn from_files(files: impl IntoIterator<Item = PathBuf>) -> Self {
        GroupResolver {
            files: files.into_iter().collect(),
            upcalls: Arc::new(upcall::Shell { time_limit: DEFAULT_TIME_LIMIT }),
            loaded: OnceLock::new(),
            job: job::sources(),
            inventory: None,
        }
    }

    /// How long an upcall may take before it is killed and the question fails.
    #[must_use]
    pub fn time_limit(self, time_limit: Duration) -> Self {
        self.upcalls(upcall::Shell { time_limit })
    }

    /// Takes groups from an inventory where no source is named: it is the default source, called `inventory`.
    #[must_use]
    pub fn inventory(mut self, inventory: Inventory) -> Self {
        self.inventory = Some(inventory);
        self
    }

    /// The host that a name means in the inventory, which may give it another address than its name.
    #[must_use]
    pub fn host_in_inventory(&self, name: &str) -> Option<&str> {
        self.inventory.as_ref()?.host(name)
    }

    /// The names that a host has in the inventory.
    pub fn names_in_inventory(&self, host: &str) -> impl Iterator<Item = &str> {
        self.inventory.iter().flat_map(move |inventory| inventory.names(host))
    }

    /// Runs upcalls another way.
    #[must_use]
    pub fn upcalls(mut self, upcalls: impl RunUpcall + 'static) -> Self {
        self.upcalls = Arc::new(upcalls);
        self
    }

    fn sources(&self) -> Result<&Sources, GroupError> {
        self.loaded.get_or_init(|| config::load(&self.files, &self.upcalls)).as_ref().map_err(Clone::clone)
    }
}

/// Where a configuration file of ClusterShell may be, the most specific place last.
#[must_use]
pub fn search_path(file: &str) -> Vec<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = variable("HOME");
    // For those who keep the system's configuration elsewhere, and for tests that must not see it.
    let system = variable("PHALANX_CLUSTERSHELL_ETC").unwrap_or_else(|| PathBuf::from(SYSTEM_DIRECTORY));
    let user = variable("XDG_CONFIG_HOME").or_else(|| home.as_ref().map(|home| home.join(".config")));
    let directories = [
        Some(system),
        home.map(|home| home.join(".local/etc/clustershell")),
        user.map(|user| user.join("clustershell")),
        variable("CLUSTERSHELL_CFGDIR"),
    ];
    directories.into_iter().flatten().map(|directory| directory.join(file)).collect()
}

impl Groups for GroupResolver {
    fn source(&self, name: Option<&str>) -> Result<&dyn GroupSource, GroupError> {
        if let Some(inventory) = &self.inventory
            && name.is_none_or(|name| name == inventory.name())
        {
            return Ok(inventory);
        }
        let sources = self.sources()?;
        let Some(name) = name.or(sources.default.as_deref()) else {
            return Err(GroupError::UnknownSource("<default>".to_owned()));
        };
        if let Some(source) = sources.get(name) {
            return Ok(source);
        }
        let of_job = self.job.iter().map(|source| &**source).find(|source| source.name() == name);
        of_job.map(|source| source as &dyn GroupSource).ok_or_else(|| GroupError::UnknownSource(name.to_owned()))
    }

    fn source_names(&self) -> Result<Vec<String>, GroupError> {
        let sources = self.sources()?;
        let names = || sources.list.iter().map(|source| source.name().to_owned());
        let is_default = |name: &String| Some(name) == sources.default.as_ref();
        let inventory = self.inventory.iter().map(|source| source.name().to_owned());
        Ok(inventory.chain(names().filter(is_default)).chain(names().filter(|name| !is_default(name))).collect())
    }

    fn default_source(&self) -> Result<Option<String>, GroupError> {
        match &self.inventory {
            Some(inventory) => Ok(Some(inventory.name().to_owned())),
            None => Ok(self.sources()?.default.clone()),
        }
    }
}
