//! The workspace as the rules see it: texts by path. The only part of tidy that reads files.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::source::Source;

/// Everything the rules look at.
#[derive(Debug, Default)]
pub struct Workspace {
    pub(super) sources: Vec<Source>,
    /// The manifests: path, text, and the text as TOML.
    pub(super) manifests: Vec<Manifest>,
    /// Markdown: path and text.
    pub(super) documents: Vec<(PathBuf, String)>,
    /// Every file and directory, for links to point at.
    pub(super) paths: BTreeSet<PathBuf>,
}

/// A `Cargo.toml`.
#[derive(Debug)]
pub(super) struct Manifest {
    pub(super) path: PathBuf,
    pub(super) text: String,
    pub(super) table: toml::Table,
}

impl Workspace {
    /// Reads the workspace below `root`.
    ///
    /// # Errors
    /// When a file cannot be read, or a manifest is no TOML; the message names it.
    pub fn read(root: &Path) -> io::Result<Workspace> {
        let mut workspace = Workspace::default();
        workspace.visit(root, Path::new(""))?;
        Ok(workspace)
    }

    fn visit(&mut self, root: &Path, below: &Path) -> io::Result<()> {
        let mut entries: Vec<_> = fs::read_dir(root.join(below))?.collect::<Result<_, _>>()?;
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name();
            let path = below.join(&name);
            self.paths.insert(path.clone());
            let hidden = name.as_encoded_bytes().starts_with(b".");
            if entry.file_type()?.is_dir() {
                // Build output and version control are nobody's prose; a fuzz corpus is no source.
                if !hidden && name != "target" && name != "corpus" {
                    self.visit(root, &path)?;
                }
            } else {
                self.add(root, path)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, root: &Path, path: PathBuf) -> io::Result<()> {
        let extension = path.extension().and_then(|extension| extension.to_str());
        let name = path.file_name().and_then(|name| name.to_str());
        if !matches!(extension, Some("rs" | "md")) && name != Some("Cargo.toml") {
            return Ok(());
        }
        let explain =
            |error: &dyn std::fmt::Display| io::Error::other(format!("cannot read {}: {error}", path.display()));
        let text = fs::read_to_string(root.join(&path)).map_err(|error| explain(&error))?;
        match extension {
            Some("rs") => self.sources.push(Source::new(path, text)),
            Some("md") => self.documents.push((path, text)),
            _ => {
                let table = text.parse().map_err(|error: toml::de::Error| explain(&error))?;
                self.manifests.push(Manifest { path, text, table });
            }
        }
        Ok(())
    }

    pub(super) fn root_manifest(&self) -> Option<&Manifest> {
        self.manifests.iter().find(|manifest| manifest.path == Path::new("Cargo.toml"))
    }
}
