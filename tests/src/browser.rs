//! A real browser without a window, for the pages that Phalanx writes.
//!
//! Each look is a new browser with a new profile: nothing is kept, nothing is asked of the network.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::programs::find_program;

/// Chromium, by its path.
#[derive(Debug)]
pub struct Browser(PathBuf);

impl Browser {
    /// The program and the Debian package that holds it.
    pub const PROGRAM: (&str, &str) = ("chromium", "chromium");

    /// The browser of this machine, if it has one.
    pub fn find() -> Option<Browser> {
        find_program(Self::PROGRAM.0).map(Browser)
    }

    /// A browser for a test, or the test reported as skipped.
    ///
    /// # Panics
    /// Under `CI=true` when it is missing.
    pub fn require() -> Option<Browser> {
        crate::require_program(Self::PROGRAM.0, Self::PROGRAM.1).map(Browser)
    }

    /// Opens a page at a fragment of it, and gives the document as its script left it.
    ///
    /// # Panics
    /// When the browser fails.
    pub fn dom(&self, page: &Path, fragment: &str) -> String {
        self.look(page, fragment, &["--dump-dom"])
    }

    /// Opens a page at a fragment of it, and writes a picture (PNG).
    ///
    /// # Panics
    /// When the browser fails.
    pub fn picture(&self, page: &Path, fragment: &str, to: &Path) {
        self.look(page, fragment, &["--window-size=1280,800", &format!("--screenshot={}", to.display())]);
    }

    fn look(&self, page: &Path, fragment: &str, what: &[&str]) -> String {
        let profile = tempfile::tempdir().expect("a directory can be made");
        let mut chromium = Command::new("timeout");
        chromium.arg("120").arg(&self.0);
        chromium.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]);
        chromium.args(["--disable-background-networking", "--disable-component-update", "--disable-sync"]);
        chromium.args(["--disable-breakpad", "--hide-scrollbars"]).args(what);
        chromium.arg(format!("--user-data-dir={}", profile.path().display()));
        chromium.arg(format!("file://{}#{fragment}", page.display())).stdin(Stdio::null());
        let output = chromium.output().expect("timeout(1) is there");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{chromium:?} ended with {}: {said}", output.status);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
