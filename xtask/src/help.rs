//! `cargo xtask bless`: the help texts of `phalanx` in `docs/cli.md`, and the keys of its configuration in
//! `docs/configuration.md`, kept as the program says them.
//!
//! The document has a heading ``## `phalanx VERB` `` for each verb, and below it a fenced block marked `text`, which is what
//! is rewritten; the prose around it is left alone. A test compares without writing.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use crate::step::{binaries, cargo, root};

/// Where the help texts are, below the root.
pub const DOCUMENT: &str = "docs/cli.md";
/// Where the keys of the configuration are, below the root.
pub const KEYS_DOCUMENT: &str = "docs/configuration.md";

/// `cargo xtask bless`.
pub fn run(_: &[String]) -> ExitCode {
    match bless() {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("xtask bless: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn bless() -> Result<(), String> {
    let built = cargo(["build", "--quiet", "--package", "phalanx-cli"]).status();
    if !built.is_ok_and(|status| status.success()) {
        return Err("phalanx does not compile".into());
    }
    let phalanx = binaries().join("phalanx");
    let (helps, keys) = (help_texts(&phalanx)?, keys(&phalanx)?);
    rewrite(DOCUMENT, |document| with_help(document, &helps))?;
    rewrite(KEYS_DOCUMENT, |document| with_keys(document, &keys))
}

fn rewrite(name: &str, blessed: impl FnOnce(&str) -> Result<String, String>) -> Result<(), String> {
    let path = root().join(name);
    let document = fs::read_to_string(&path).map_err(|error| format!("cannot read {name}: {error}"))?;
    fs::write(&path, blessed(&document)?).map_err(|error| format!("cannot write {name}: {error}"))
}

/// Every key of the configuration, as `phalanx config --keys` shows them.
///
/// # Errors
/// When the program cannot be started, or fails.
pub fn keys(phalanx: &Path) -> Result<String, String> {
    said(phalanx, &["config", "--keys"])
}

/// The document with the given keys in their block.
///
/// # Errors
/// When it has no such block.
pub fn with_keys(document: &str, keys: &str) -> Result<String, String> {
    with_block(document, "## Every key\n", "toml", keys)
        .ok_or_else(|| format!("{KEYS_DOCUMENT} needs a heading «## Every key» and below it a block marked toml"))
}

/// A verb of `phalanx`, and what it says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Help {
    /// The word after `phalanx`.
    pub verb: String,
    /// What `phalanx VERB --help` says, 100 columns wide, without blanks at the ends of lines.
    pub text: String,
}

/// The help of every verb that `phalanx --help` lists, but that of `help` itself.
///
/// # Errors
/// When the program cannot be started, or says something else.
pub fn help_texts(phalanx: &Path) -> Result<Vec<Help>, String> {
    let overview = said(phalanx, &["--help"])?;
    let list = overview.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    // A description may go on, further indented, on the next line.
    let verbs = list.filter_map(|line| line.strip_prefix("  ")).filter(|line| !line.starts_with(' '));
    let verbs = verbs.filter_map(|line| line.split_whitespace().next()).filter(|verb| *verb != "help");
    let help = |verb: &str| Ok(Help { verb: verb.to_owned(), text: said(phalanx, &[verb, "--help"])? });
    let texts: Vec<Help> = verbs.map(help).collect::<Result<_, String>>()?;
    if texts.is_empty() { Err(format!("phalanx --help lists no commands:\n{overview}")) } else { Ok(texts) }
}

fn said(phalanx: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(phalanx).args(arguments).env("COLUMNS", "100").output();
    let output = output.map_err(|error| format!("cannot start {}: {error}", phalanx.display()))?;
    if !output.status.success() {
        return Err(format!("phalanx {} ended with {}", arguments.join(" "), output.status));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.trim().lines().map(|line| line.trim_end().to_owned() + "\n").collect())
}

/// The document with the given texts in their blocks.
///
/// # Errors
/// When a verb has no heading, or no block below it.
pub fn with_help(document: &str, texts: &[Help]) -> Result<String, String> {
    texts.iter().try_fold(document.to_owned(), |document, help| {
        with_block(&document, &format!("## `phalanx {}`\n", help.verb), "text", &help.text).ok_or_else(|| {
            format!("{DOCUMENT} needs a heading «## `phalanx {}`» and below it a block marked text", help.verb)
        })
    })
}

fn with_block(document: &str, heading: &str, kind: &str, text: &str) -> Option<String> {
    let (begin, end) = block_below(document, heading, kind)?;
    Some(format!("{}{text}{}", &document[..begin], &document[end..]))
}

/// Where the inside of the first block of this kind below a heading begins and ends.
fn block_below(document: &str, heading: &str, kind: &str) -> Option<(usize, usize)> {
    let below = if document.starts_with(heading) { 0 } else { document.find(&format!("\n{heading}"))? + 1 };
    let section = below + heading.len();
    // From the end of the heading's own line, which the next heading may follow at once.
    let end_of_section =
        document[section - 1..].find("\n## ").map_or(document.len(), |at| (section - 1 + at).max(section));
    let fence = format!("```{kind}\n");
    let begin = section + document[section..end_of_section].find(&fence)? + fence.len();
    Some((begin, begin + document[begin..].find("```")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn help(verb: &str, text: &str) -> Help {
        Help { verb: verb.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn the_block_of_each_verb_is_rewritten_and_nothing_else() {
        let document = "# A\n\n## `phalanx run`\nb\n```text\nold\n```\nc\n## `phalanx get`\n```text\n```\nd\n";
        let expected = "# A\n\n## `phalanx run`\nb\n```text\nnew\n```\nc\n## `phalanx get`\n```text\nget\n```\nd\n";
        let blessed = with_help(document, &[help("run", "new\n"), help("get", "get\n")]).expect("both have a place");
        assert_eq!(blessed, expected);
    }

    #[test]
    fn a_verb_without_a_place_is_an_error() {
        for document in
            ["", "## `phalanx running`\n```text\n```\n", "## `phalanx run`\n## `phalanx get`\n```text\n```\n"]
        {
            let error = with_help(document, &[help("run", "new\n")]).expect_err("there is no place for it");
            assert!(error.contains("«## `phalanx run`»"), "{error}");
        }
    }
}
