//! From `groups.conf` to sources. The order in which they are defined:
//!
//! 1. `*.conf` in the directories of `confdir` (or `groupsdir`, which wins),
//! 2. `*.yaml` in the directories of `autodir`,
//! 3. the other sections of `groups.conf` itself.
//!
//! The default source is the one that `[Main]` names, else the first.

use super::ini::Ini;
use super::upcall::{Commands, RunUpcall, UpcallSource, substitute};
use super::{Sources, file};
use phalanx_nodeset::{FoldAxes, GroupError};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

const MAIN: &str = "Main";

/// How long answers are good for where the configuration does not say.
pub(super) const DEFAULT_CACHE_TIME: Duration = Duration::from_secs(3600);

/// Reads all files that can be read. Without any there are no sources, which is no error.
pub(super) fn load(files: &[PathBuf], upcalls: &Arc<dyn RunUpcall>) -> Result<Sources, GroupError> {
    let mut main = Ini::default();
    let mut directory = None;
    for path in files {
        if let Some(text) = read_if_there(path)? {
            main.merge(&text).map_err(|error| configuration(path, &error))?;
            directory = path.parent();
        }
    }
    let Some(directory) = directory else { return Ok(Sources::default()) };
    let mut sources = Sources::default();
    let parts = main.get(MAIN, "groupsdir").or_else(|| main.get(MAIN, "confdir"));
    for (part, path) in files_in(parts, directory, "conf")? {
        let Some(text) = read_if_there(&path)? else { continue };
        let mut ini = Ini::default();
        ini.merge(&text).map_err(|error| configuration(&path, &error))?;
        add_sections(&mut sources, &ini, &part, upcalls)?;
    }
    for (_, path) in files_in(main.get(MAIN, "autodir"), directory, "yaml")? {
        file::add_sources(&mut sources, &path)?;
    }
    add_sections(&mut sources, &main, directory, upcalls)?;
    sources.default = default_source(&sources, main.get(MAIN, "default"))?;
    Ok(sources)
}

/// Returns the text of a file. One that does not exist, or that this user may not read, is skipped as ClusterShell does, for most of the
/// search path does not exist; one that is no text is malformed, and to skip it would hide its groups.
pub(super) fn read_if_there(path: &Path) -> Result<Option<String>, GroupError> {
    use io::ErrorKind::{IsADirectory, NotADirectory, NotFound, PermissionDenied};
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if matches!(error.kind(), NotFound | PermissionDenied | NotADirectory | IsADirectory) => {
            log::debug!("{}: {error}", path.display());
            return Ok(None);
        }
        Err(error) => return Err(configuration(path, &error)),
    };
    String::from_utf8(bytes).map(Some).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        configuration(path, &format!("line {line}: not valid UTF-8"))
    })
}

/// The axes along which node sets are folded by default: `fold_axis` of `[nodeset]` in ClusterShell's `defaults.conf`, a comma list in
/// which 0 is the first axis and -1 the last. All axes where it says nothing.
///
/// # Errors
/// When a `defaults.conf` cannot be understood.
pub fn configured_fold_axes() -> Result<FoldAxes, GroupError> {
    let mut defaults = Ini::default();
    let mut said_by = PathBuf::new();
    for path in super::search_path("defaults.conf") {
        let Some(text) = read_if_there(&path)? else { continue };
        defaults.merge(&text).map_err(|error| configuration(&path, &error))?;
        said_by = path;
    }
    let axes = defaults.get("nodeset", "fold_axis").unwrap_or_default();
    let numbers = axes.split(',').map(str::trim).filter(|number| !number.is_empty()).map(|number| {
        let wanted = "fold_axis takes axes separated by commas, 0 being the first and -1 the last";
        number.parse().map_err(|_| configuration(&said_by, &format!("{wanted}: `{number}` is no such number")))
    });
    let numbers = numbers.collect::<Result<Vec<i64>, GroupError>>()?;
    Ok(if numbers.is_empty() { FoldAxes::All } else { FoldAxes::Counted(numbers) })
}

fn configuration(path: &Path, error: &impl std::fmt::Display) -> GroupError {
    GroupError::Configuration(format!("{}: {error}", path.display()))
}

fn default_source(sources: &Sources, configured: Option<&str>) -> Result<Option<String>, GroupError> {
    match configured.filter(|name| !name.is_empty()) {
        Some(name) if sources.get(name).is_none() => {
            Err(GroupError::Configuration(format!("Default group source not found: \"{name}\"")))
        }
        Some(name) => Ok(Some(name.to_owned())),
        None => Ok(sources.list.first().map(|source| source.name().to_owned())),
    }
}

/// The files with this extension in a list of directories, with their directory; each directory once, its files by name.
fn files_in(list: Option<&str>, cfgdir: &Path, extension: &str) -> Result<Vec<(PathBuf, PathBuf)>, GroupError> {
    let mut seen = BTreeSet::new();
    let mut files = Vec::new();
    for word in directory_list(list.unwrap_or_default())? {
        let directory = PathBuf::from(substitute(&word, &[("CFGDIR", &cfgdir.to_string_lossy())]));
        if !seen.insert(directory.clone()) {
            continue;
        }
        let entries = match fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                let what = format!("{} is in the list of directories but is none", directory.display());
                return Err(GroupError::Configuration(what));
            }
            Err(_) => continue,
        };
        let paths: BTreeSet<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        let wanted = |path: &PathBuf| {
            let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
            !hidden && path.extension().is_some_and(|found| found == extension)
        };
        files.extend(paths.into_iter().filter(wanted).map(|path| (directory.clone(), path)));
    }
    Ok(files)
}

/// Words between blanks; quotes keep blanks together.
fn directory_list(list: &str) -> Result<Vec<String>, GroupError> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for character in list.chars() {
        match (quote, character) {
            (Some(open), _) if open == character => quote = None,
            (None, '"' | '\'') => {
                quote = Some(character);
                word.get_or_insert_default();
            }
            (None, _) if character.is_whitespace() => words.extend(word.take()),
            _ => word.get_or_insert_default().push(character),
        }
    }
    if quote.is_some() {
        return Err(GroupError::Configuration(format!("No closing quotation in the list of directories: {list}")));
    }
    words.extend(word);
    Ok(words)
}

fn add_sections(
    sources: &mut Sources,
    ini: &Ini,
    directory: &Path,
    upcalls: &Arc<dyn RunUpcall>,
) -> Result<(), GroupError> {
    for section in ini.sections() {
        for name in section.name.split(',').map(str::trim).filter(|name| *name != MAIN) {
            let option = |option: &str| ini.get(&section.name, option).map(str::to_owned);
            let commands = Commands {
                map: option("map"),
                mapall: option("mapall"),
                all: option("all").filter(|command| !command.is_empty()),
                list: option("list").filter(|command| !command.is_empty()),
                reverse: option("reverse").filter(|command| !command.is_empty()),
            };
            if commands.map.is_none() && commands.mapall.is_none() {
                return Err(GroupError::Configuration(format!("No option 'map' in section: '{}'", section.name)));
            }
            let cache_time = cache_time(option("cache_time"))?;
            let source = UpcallSource::new(name, commands, directory, cache_time, Arc::clone(upcalls));
            sources.add(Box::new(source))?;
        }
    }
    Ok(())
}

fn cache_time(option: Option<String>) -> Result<Duration, GroupError> {
    let Some(text) = option else { return Ok(DEFAULT_CACHE_TIME) };
    let seconds: f64 = text
        .trim()
        .parse()
        .map_err(|_| GroupError::Configuration(format!("could not convert string to float: '{text}'")))?;
    Ok(Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX))
}
