//! YAML from outside, read within bounds. The library recurses into what is nested and copies what an alias names, so that a short text could
//! overflow the stack or take the machine's memory; what no one writes by hand is refused before.

use saphyr::{LoadableYamlNode, Yaml};

/// Deeper than anyone nests by hand: brackets, and columns of indentation.
const DEEPEST: usize = 200;
/// The most aliases (`*name`) in a text: each may copy all that the others have copied.
const MOST_ALIASES: usize = 16;

/// What is wrong with a text, and at which line and column from 1.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct YamlError {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) what: String,
}

/// The first document of a text, if it has one.
pub(super) fn load(text: &str) -> Result<Option<Yaml<'_>>, YamlError> {
    check_bounds(text)?;
    let documents = Yaml::load_from_str(text).map_err(|error| {
        let lines = text.lines().count().max(1);
        // At the end of the text the library counts a line that is not there.
        YamlError {
            line: error.marker().line().clamp(1, lines),
            column: error.marker().col() + 1,
            what: format!("this is no YAML: {}", error.info()),
        }
    })?;
    Ok(documents.into_iter().next())
}

fn check_bounds(text: &str) -> Result<(), YamlError> {
    let (mut brackets, mut aliases) = (0_usize, 0_usize);
    for (index, line) in text.lines().enumerate() {
        let wrong = |what: String| Err(YamlError { line: index + 1, column: 1, what });
        let indentation = line.len() - line.trim_start_matches([' ', '\t', '-', '?', ':']).len();
        let mut before = ' ';
        for char in line.chars() {
            match char {
                '[' | '{' => brackets += 1,
                ']' | '}' => brackets = brackets.saturating_sub(1),
                _ if before == '*' && (char.is_alphanumeric() || char == '_') => aliases += 1,
                _ => {}
            }
            if brackets > DEEPEST {
                return wrong(format!("this is nested more than {DEEPEST} deep"));
            }
            before = char;
        }
        if indentation > DEEPEST {
            return wrong(format!("this is nested more than {DEEPEST} deep"));
        }
        if aliases > MOST_ALIASES {
            return wrong(format!("there are more than {MOST_ALIASES} aliases (*name) in this file"));
        }
    }
    Ok(())
}
