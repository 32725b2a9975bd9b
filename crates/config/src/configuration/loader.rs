//! Merges the layers, the lowest first, and remembers the origin of each value.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use super::Configuration;
use super::execo;
use super::keys::{KEYS, Key, Kind};
use super::read::Given;
use super::show::quoted;
use crate::toml_doc::{Diagnostics, Document, Item, Location, Table};

/// The built-in presets, as they would be written in a file. A preset of the same name there replaces one.
pub const BUILT_IN_PRESETS: &str = "\
# For nodes that are redeployed every hour, on networks that are trusted: execo's defaults.
[presets.ephemeral.connection]
check_host_keys = \"ignore\"
connect_timeout = 20
";

/// The variable that names the file.
const FILE: &str = "PHALANX_CONFIG";
/// The variable that names the preset.
const PRESET: &str = "PHALANX_PRESET";

/// Loads a configuration from the sources it is given.
#[derive(Debug, Clone, Default)]
pub struct Loader {
    file: Option<Source>,
    preset: Option<(String, &'static str)>,
    variables: HashMap<OsString, OsString>,
    home: Option<PathBuf>,
}

#[derive(Debug, Clone)]
struct Source {
    path: PathBuf,
    may_be_missing: bool,
}

/// A configuration, and where it came from.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The merged configuration.
    pub configuration: Configuration,
    /// The file that was read, if there was one.
    pub file: Option<PathBuf>,
    /// The preset that is in force.
    pub preset: Option<String>,
    /// The origins of the keys that differ from the defaults: the strongest last. Only lists have more than one.
    pub origins: BTreeMap<&'static str, Vec<Origin>>,
}

/// The origin of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A line of the file.
    File(String, Location),
    /// A line of a preset in the file.
    Preset(String, String, Location),
    /// A preset that is built in.
    BuiltIn(String),
    /// A variable of the environment.
    Variable(&'static str),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file, place) => write!(f, "{file}:{}", place.line),
            Self::Preset(name, file, place) => write!(f, "preset {name}, {file}:{}", place.line),
            Self::BuiltIn(name) => write!(f, "preset {name}, built in"),
            Self::Variable(name) => write!(f, "${name}"),
        }
    }
}

/// The configuration could not be loaded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// There are errors in the file.
    #[error(transparent)]
    File(#[from] Diagnostics),
    /// There are errors in the file that `$PHALANX_CONFIG` names.
    #[error("{0} (named by $PHALANX_CONFIG)")]
    NamedFile(Diagnostics),
    /// A variable of the environment has a wrong value.
    #[error("${variable}: {reason}")]
    Variable {
        /// The name of the variable.
        variable: &'static str,
        /// What is wrong with it, and what to write instead.
        reason: String,
    },
    /// There is no such preset.
    #[error("no preset is called `{name}` ({said_by}); known are {known}; define [presets.{name}] in {file}")]
    Preset {
        /// The name that was asked for.
        name: String,
        /// The flag, variable or key that asked for it.
        said_by: &'static str,
        /// The names of the known presets.
        known: String,
        /// The file that could define it.
        file: String,
    },
}

impl Loader {
    /// Makes a loader that reads what a user expects: see [the module](super).
    #[must_use]
    pub fn standard() -> Self {
        Self::of_environment(std::env::vars_os())
    }

    /// Makes a loader as [`Loader::standard`] does, in this environment.
    #[must_use]
    pub fn of_environment(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        // An empty variable counts as none: one cannot always be removed.
        let variables: HashMap<_, _> = variables.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let path = |name: &str| variables.get(OsStr::new(name)).map(PathBuf::from);
        let home = path("HOME");
        // The specification wants relative paths ignored: https://specifications.freedesktop.org/basedir-spec/latest/
        let directory = path("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
        let directory = directory.or_else(|| Some(home.as_ref()?.join(".config")));
        let default = directory.map(|directory| directory.join("phalanx/config.toml"));
        let named = path(FILE).map(|path| Source { path, may_be_missing: false });
        let file = named.or_else(|| default.map(|path| Source { path, may_be_missing: true }));
        Self { file, preset: None, variables, home }
    }

    /// Makes a loader that reads nothing.
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Reads this file, which must be there, and no other.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(Source { path: path.into(), may_be_missing: false });
        self.variables.remove(OsStr::new(FILE));
        self
    }

    /// Puts this preset in force, whatever the environment and the file say.
    #[must_use]
    pub fn preset(mut self, name: impl Into<String>) -> Self {
        self.preset = Some((name.into(), "--preset"));
        self
    }

    /// Returns the path of the file that would be read.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.file.as_ref().map(|source| source.path.as_path())
    }

    /// Reads and merges all sources.
    ///
    /// # Errors
    /// All errors in the file; or else the unknown preset; or else the first wrong variable.
    pub fn load(mut self) -> Result<Loaded, LoadError> {
        if let (None, Some(name)) = (&self.preset, self.variable(PRESET)?) {
            self.preset = Some((name.to_owned(), "$PHALANX_PRESET"));
        }
        let document = self.document()?;
        let mut loaded = Loaded::new(document.is_some().then(|| self.path().map(Path::to_owned)).flatten());
        let file = document.unwrap_or_else(|| Document::parse("", "").expect("an empty text is TOML"));
        let reader = Reader { directory: self.directory(), home: self.home.as_deref() };
        let known = reader.read(&file, self.preset.as_ref().map(|(name, _)| name.as_str()), &mut loaded);
        file.finish(()).map_err(|diagnostics| self.named(diagnostics))?;
        if let (Some((name, said_by)), None) = (&self.preset, &loaded.preset) {
            let file = self.path().map_or_else(|| "a configuration file".to_owned(), |path| path.display().to_string());
            return Err(LoadError::Preset { name: name.clone(), said_by, known, file });
        }
        self.read_variables(&mut loaded)?;
        Ok(loaded)
    }

    fn document(&self) -> Result<Option<Document>, LoadError> {
        match &self.file {
            None => Ok(None),
            // What cannot be looked at is not missing, but an error.
            Some(Source { path, may_be_missing: true }) if matches!(path.try_exists(), Ok(false)) => Ok(None),
            Some(Source { path, .. }) => Document::read(path).map(Some).map_err(|diagnostics| self.named(diagnostics)),
        }
    }

    fn named(&self, diagnostics: Diagnostics) -> LoadError {
        if self.variables.contains_key(OsStr::new(FILE)) {
            LoadError::NamedFile(diagnostics)
        } else {
            LoadError::File(diagnostics)
        }
    }

    /// Returns the directory of the file.
    fn directory(&self) -> &Path {
        self.path().and_then(Path::parent).unwrap_or(Path::new(""))
    }

    fn variable(&self, name: &'static str) -> Result<Option<&str>, LoadError> {
        let text = |value: &'_ OsString| value.to_str().is_some();
        match self.variables.get(OsStr::new(name)) {
            Some(value) if !text(value) => {
                Err(LoadError::Variable { variable: name, reason: "it is not UTF-8; give another value".into() })
            }
            value => Ok(value.and_then(|value| value.to_str())),
        }
    }

    /// Reads every variable as a document of one line, so that it obeys the same rules.
    fn read_variables(&self, loaded: &mut Loaded) -> Result<(), LoadError> {
        let reader = Reader { directory: Path::new(""), home: self.home.as_deref() };
        for key in KEYS {
            let Some(variable) = key.variable else { continue };
            let Some(value) = self.variable(variable)? else { continue };
            let bare = key.kind == Kind::Number && value.bytes().all(|byte| byte.is_ascii_digit());
            let value = if bare { value.to_owned() } else { quoted(value) };
            let wrong = |diagnostics: Diagnostics| {
                let reasons: Vec<String> = diagnostics.list().iter().map(said_of_a_variable).collect();
                LoadError::Variable { variable, reason: reasons.join("; ") }
            };
            let document = Document::parse(variable, &format!("{} = {value}", key.name)).map_err(wrong)?;
            reader.read_layer(document.root(), loaded, &|_| Origin::Variable(variable));
            document.finish(()).map_err(wrong)?;
        }
        Ok(())
    }
}

/// Returns the error without location and key, which the user has not written.
fn said_of_a_variable(diagnostic: &crate::toml_doc::Diagnostic) -> String {
    let advice = if diagnostic.instead.is_empty() { String::new() } else { format!("; {}", diagnostic.instead) };
    format!("{}{advice}", diagnostic.wrong)
}

/// Reads the configuration from a text alone.
pub(super) fn of_text(name: &str, text: &str) -> Result<Configuration, Diagnostics> {
    let document = Document::parse(name, text)?;
    let mut loaded = Loaded::new(None);
    Reader { directory: Path::new(""), home: None }.read(&document, None, &mut loaded);
    document.finish(loaded.configuration)
}

impl Loaded {
    fn new(file: Option<PathBuf>) -> Self {
        Self { configuration: Configuration::default(), file, preset: None, origins: BTreeMap::new() }
    }
}

/// Reads documents; relative paths in them start at a directory.
struct Reader<'a> {
    directory: &'a Path,
    home: Option<&'a Path>,
}

impl Reader<'_> {
    /// Reads the file, and on top of it the preset called `chosen`, or the one that the file itself names. Returns the
    /// names of all presets, for messages.
    fn read(&self, file: &Document, chosen: Option<&str>, loaded: &mut Loaded) -> String {
        let root = file.root();
        let name = file.name();
        let built_in = Document::parse("built in", BUILT_IN_PRESETS).expect("it is tested");
        let known: Vec<&str> = presets(built_in.root()).chain(presets(root)).map(|(name, _)| name).collect();
        let known_to_all = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let named = root.get("preset").and_then(|item| name_of_preset(item, &known, &known_to_all));
        let chosen = chosen.or(named);
        self.read_layer(root, loaded, &|place| Origin::File(name.to_owned(), place));
        for (preset, table) in presets(root) {
            // Every preset is read, so that an error is reported before the preset is needed.
            let mut scratch = Loaded::new(None);
            let into = if chosen == Some(preset) { &mut *loaded } else { &mut scratch };
            into.preset = Some(preset.to_owned());
            table.refuse(
                "preset",
                "a preset puts no other one in force",
                "write the name of one of them at the top of the file",
            );
            self.read_layer(table, into, &|place| Origin::Preset(preset.to_owned(), name.to_owned(), place));
        }
        if let (None, Some(chosen)) = (&loaded.preset, chosen)
            && let Some((_, table)) = presets(built_in.root()).find(|(preset, _)| *preset == chosen)
        {
            loaded.preset = Some(chosen.to_owned());
            self.read_layer(table, loaded, &|_| Origin::BuiltIn(chosen.to_owned()));
        }
        known_to_all
    }

    /// Reads the keys of one layer.
    fn read_layer(&self, table: Table<'_>, loaded: &mut Loaded, origin: &dyn Fn(Location) -> Origin) {
        let mut sections: BTreeMap<&str, Option<Table<'_>>> = BTreeMap::from([("", Some(table))]);
        for key in KEYS {
            let (section, name) = key.parts();
            let holder = sections.entry(section).or_insert_with(|| table.table(section));
            let Some(item) = holder.and_then(|holder| holder.get(name)) else { continue };
            (key.read)(Given { item, directory: self.directory, home: self.home }, &mut loaded.configuration);
            loaded.note(key, origin(item.place()));
        }
        for (section, holder) in sections {
            holder.into_iter().for_each(|holder| execo::refuse(holder, section));
        }
    }
}

impl Loaded {
    fn note(&mut self, key: &Key, origin: Origin) {
        let origins = self.origins.entry(key.name).or_default();
        if key.kind != Kind::Words {
            origins.clear();
        }
        origins.push(origin);
    }
}

/// Returns the presets that a document defines.
fn presets<'d>(root: Table<'d>) -> impl Iterator<Item = (&'d str, Table<'d>)> {
    let entries = root.table("presets").into_iter().flat_map(Table::entries);
    entries.filter_map(|(key, item)| Some((key.name(), item.table()?)))
}

/// Returns the name of the preset that the file itself chooses. A table is a preset in the wrong place.
fn name_of_preset<'d>(item: Item<'d>, known: &[&str], known_to_all: &str) -> Option<&'d str> {
    if item.is_table() {
        item.error("it is the name of the preset that is in force", "write [presets.NAME] to define one");
        return None;
    }
    let name = item.string()?;
    if !known.contains(&name) {
        item.error(format!("no preset is called {}", quoted(name)), format!("known are {known_to_all}"));
    }
    Some(name)
}
