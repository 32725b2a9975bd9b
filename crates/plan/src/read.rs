//! Makes a plan of a document, and complains about all that is wrong with it: each mistake with its line, and with what
//! to write instead. Starts nothing; asks the world only for groups of hosts, and whether files are there.

mod dialogue;
mod names;
mod processes;
mod step;
mod sweep;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use self::names::{HostLists, Scope};
pub(super) use self::processes::copies;
pub use self::step::keys;
use super::model::{OnFailure, Plan, Step};
use phalanx_config::groups::GroupResolver;
use phalanx_config::toml_doc::{Diagnostic, Diagnostics, Document, Item, Location, Table, TableKey};

/// What the one who plays a plan says about it, apart from what is in the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Other values for variables, other hosts for lists of hosts. Values of a list are separated by commas.
    pub values: BTreeMap<String, String>,
    /// What is to run on hosts is run here, once for each of them; so there are no files to put, and no ports to forward.
    pub exec: bool,
    /// The plan is only looked at; so variables of the environment need not be there.
    pub nothing_starts: bool,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Its file is wrong.
    #[error(transparent)]
    Diagnostics(#[from] Diagnostics),
    /// A value was given for a name that the plan does not have.
    #[error("the plan has no variable and no list of hosts called `{name}`{known}")]
    Unknown {
        /// The name.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// A value was given for what comes from the environment.
    #[error(
        "`{name}` cannot be given with --set, where everybody on this machine could read it: put it into the variable {variable} of the environment: read -r -s {variable}; export {variable}"
    )]
    Secret {
        /// The name.
        name: String,
        /// The variable of the environment.
        variable: String,
    },
    /// A value was given that cannot be.
    #[error("cannot use `{value}` for `{name}`: {reason}")]
    Value {
        /// The name.
        name: String,
        /// The value.
        value: String,
        /// Why not.
        reason: String,
    },
}

impl Plan {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn read(path: &Path, overrides: &Overrides) -> Result<Self, ReadError> {
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_stem().map_or_else(|| "plan".into(), |stem| stem.to_string_lossy().into_owned());
        Self::of(Document::read(path)?, &name, directory, overrides)
    }

    /// Makes a plan of a text; `file` is the name of its file in messages.
    ///
    /// # Errors
    /// All that is wrong with it.
    pub fn parse(file: &str, text: &str, overrides: &Overrides) -> Result<Self, ReadError> {
        Self::of(Document::parse(file, text)?, file, Path::new("."), overrides)
    }

    fn of(document: Document, name: &str, directory: &Path, overrides: &Overrides) -> Result<Self, ReadError> {
        let resolver = GroupResolver::standard();
        let plan = {
            let root = document.root();
            let mut names = HostLists::new(&resolver, overrides);
            let scope = names.read(root, directory)?;
            let reader = Reader {
                blocks: blocks(root),
                defaults: Defaults::read(root),
                hosts: names,
                overrides,
                open_blocks: RefCell::default(),
                used_blocks: RefCell::default(),
                titles: RefCell::default(),
                count: Cell::new(0),
                makes_files: Cell::new(false),
                warnings: RefCell::default(),
            };
            reader.plan(root, name, &document, scope)
        };
        Ok(document.finish(plan)?)
    }
}

/// The blocks that have a name, by it.
fn blocks<'d>(root: Table<'d>) -> BTreeMap<&'d str, (TableKey<'d>, Item<'d>)> {
    let table = root.table("blocks");
    table.into_iter().flat_map(Table::entries).map(|(key, item)| (key.name(), (key, item))).collect()
}

/// What holds for all steps that do not say otherwise.
struct Defaults<'d> {
    table: Option<Table<'d>>,
    on_failure: Option<OnFailure>,
}

/// The keys that may be among the defaults.
const DEFAULTS: [&str; 8] = ["on", "user", "timeout", "fanout", "retries", "retry_pause", "exit_codes", "on_failure"];

impl<'d> Defaults<'d> {
    fn read(root: Table<'d>) -> Self {
        let table = root.table("defaults");
        for key in DEFAULTS {
            // Known, whether a step needs it or not.
            let _ = table.and_then(|table| table.get(key));
        }
        if let Some(table) = table {
            for (key, _) in step::KEYS.iter().filter(|(key, _)| !DEFAULTS.contains(key)) {
                table.refuse(key, "it cannot be a default", "write it into the steps that need it");
            }
        }
        let on_failure = table.and_then(|table| table.choice("on_failure", &step::ON_FAILURE));
        Self { table, on_failure }
    }

    /// The default of a key, if it can be one.
    fn get(&self, key: &str) -> Option<Item<'d>> {
        if DEFAULTS.contains(&key) { self.table?.get(key) } else { None }
    }
}

/// Reads one plan.
struct Reader<'d> {
    defaults: Defaults<'d>,
    hosts: HostLists<'d>,
    blocks: BTreeMap<&'d str, (TableKey<'d>, Item<'d>)>,
    overrides: &'d Overrides,
    /// The blocks that are being read now, the outermost first.
    open_blocks: RefCell<Vec<&'d str>>,
    used_blocks: RefCell<BTreeSet<&'d str>>,
    /// The names that steps were given, with where.
    titles: RefCell<BTreeMap<String, Location>>,
    count: Cell<usize>,
    /// A step that was read may make files here.
    makes_files: Cell<bool>,
    warnings: RefCell<Vec<Diagnostic>>,
}

impl<'d> Reader<'d> {
    fn plan(self, root: Table<'d>, name: &str, document: &'d Document, scope: Scope) -> Plan {
        let name = root.string("name").unwrap_or(name).to_owned();
        // For people who read the file.
        let _ = root.string("description");
        let steps = self.top(root, &mut scope.clone());
        self.look_for_unused(&scope);
        let mut warnings = self.warnings.into_inner();
        warnings.sort_by_key(|warning| warning.place);
        warnings.dedup();
        let count = self.count.get();
        Plan { name, file: document.name().to_owned(), lists: scope.lists, steps, count, warnings }
    }

    fn top(&self, root: Table<'d>, scope: &mut Scope) -> Vec<Step> {
        match root.get("step") {
            None => {
                root.error("it has no steps", "write `[[step]]`, and below it what to do: `run = \"uptime\"`");
                Vec::new()
            }
            Some(item) if item.is_table() => {
                item.error("`[step]` can be there only once", "write `[[step]]`, with two brackets, above each step");
                Vec::new()
            }
            Some(item) => self.steps(item, scope, step::Order::Sequence),
        }
    }

    fn look_for_unused(&self, scope: &Scope) {
        for (name, (key, item)) in &self.blocks {
            if !self.used_blocks.borrow().contains(name) {
                // Its mistakes are mistakes all the same.
                let before = (self.titles.borrow().clone(), self.count.get());
                self.steps(*item, &mut scope.clone(), step::Order::Sequence);
                (*self.titles.borrow_mut(), _) = (before.0, self.count.set(before.1));
                self.warn(key.place(), format!("blocks.{name}"), "no step uses it");
            }
        }
        for (name, key) in self.hosts.unused() {
            self.warn(key.place(), name, "nothing uses it");
        }
    }

    fn warn(&self, place: Location, key: String, wrong: &str) {
        let mistake =
            Diagnostic { place: Some(place), key: Some(key), wrong: wrong.to_owned(), instead: String::new() };
        self.warnings.borrow_mut().push(mistake);
    }
}
