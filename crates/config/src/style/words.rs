//! Styles in words, as git has them in its configuration: a foreground, a background, attributes. Pure.
//! See <https://git-scm.com/docs/git-config#Documentation/git-config.txt-color>.

use anstyle::{Ansi256Color, AnsiColor, Color, Effects, Style};

/// A text that is not a style.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{word:?} {reason}; write a colour, a background and attributes as git does: \"red\", \"bold white blue\"")]
pub struct InvalidStyle {
    word: String,
    reason: &'static str,
}

/// Parses a style: at most two colours, the second for the background, and attributes, in any order.
///
/// ```
/// use phalanx_config::style::{parse, words};
///
/// assert_eq!(words(parse("bold white #0000ff")?), "white #0000ff bold");
/// # Ok::<(), phalanx_config::style::InvalidStyle>(())
/// ```
///
/// # Errors
/// When a word is neither a colour nor an attribute, or there are three colours.
pub fn parse(text: &str) -> Result<Style, InvalidStyle> {
    let invalid = |word, reason| InvalidStyle { word, reason };
    // anstyle-git 1.1 cuts hexadecimal digits by bytes, and panics within a character.
    if !text.is_ascii() {
        return Err(invalid(text.to_owned(), "is no style"));
    }
    let style = anstyle_git::parse(&with_numbers(text)).map_err(|error| match error {
        anstyle_git::Error::ExtraColor { word, .. } => invalid(word, "is one colour too many"),
        anstyle_git::Error::UnknownWord { word, .. } => invalid(word, "is no colour and no attribute"),
        other => invalid(other.to_string(), "is no style"),
    })?;
    let plain = |colour: Option<Color>| match colour {
        Some(Color::Ansi256(index)) => Some(index.into_ansi().map_or(Color::Ansi256(index), Color::Ansi)),
        other => other,
    };
    Ok(style.fg_color(plain(style.get_fg_color())).bg_color(plain(style.get_bg_color())))
}

/// Replaces the words for bright colours by their numbers: git has such words, anstyle-git 1.1 has not.
fn with_numbers(text: &str) -> String {
    let number = |word: &str| {
        let bright = BRIGHT.iter().position(|colour| word.strip_prefix("bright") == Some(name(*colour)));
        bright.map_or_else(|| word.to_owned(), |index| (index + 8).to_string())
    };
    text.split_whitespace().map(number).collect::<Vec<_>>().join(" ")
}

/// The bright colours in the order of their numbers, from 8.
const BRIGHT: [AnsiColor; 8] = [
    AnsiColor::BrightBlack,
    AnsiColor::BrightRed,
    AnsiColor::BrightGreen,
    AnsiColor::BrightYellow,
    AnsiColor::BrightBlue,
    AnsiColor::BrightMagenta,
    AnsiColor::BrightCyan,
    AnsiColor::BrightWhite,
];

/// Returns a style in the words that [`parse`] understands.
#[must_use]
pub fn words(style: Style) -> String {
    let mut words = Vec::new();
    match (style.get_fg_color(), style.get_bg_color()) {
        (None, None) => {}
        (Some(foreground), None) => words.push(colour(foreground)),
        (foreground, Some(background)) => {
            words.extend([foreground.map_or_else(|| "normal".to_owned(), colour), colour(background)]);
        }
    }
    let effects = style.get_effects();
    words.extend(EFFECTS.iter().filter(|(effect, _)| effects.contains(*effect)).map(|(_, word)| (*word).to_owned()));
    words.join(" ")
}

const EFFECTS: [(Effects, &str); 7] = [
    (Effects::BOLD, "bold"),
    (Effects::DIMMED, "dim"),
    (Effects::ITALIC, "italic"),
    (Effects::UNDERLINE, "ul"),
    (Effects::BLINK, "blink"),
    (Effects::INVERT, "reverse"),
    (Effects::STRIKETHROUGH, "strike"),
];

fn colour(colour: Color) -> String {
    match colour {
        Color::Ansi(colour) if colour.is_bright() => format!("bright{}", name(colour)),
        Color::Ansi(colour) => name(colour).to_owned(),
        Color::Ansi256(Ansi256Color(index)) => index.to_string(),
        Color::Rgb(colour) => format!("#{:02x}{:02x}{:02x}", colour.r(), colour.g(), colour.b()),
    }
}

fn name(colour: AnsiColor) -> &'static str {
    match colour.bright(false) {
        AnsiColor::Red => "red",
        AnsiColor::Green => "green",
        AnsiColor::Yellow => "yellow",
        AnsiColor::Blue => "blue",
        AnsiColor::Magenta => "magenta",
        AnsiColor::Cyan => "cyan",
        AnsiColor::White => "white",
        // The bright ones were made plain above.
        _ => "black",
    }
}

#[cfg(test)]
mod tests {
    use super::super::Role;
    use super::*;

    #[test]
    fn styles_are_parsed_and_written_as_words() {
        for text in [
            "",
            "red",
            "black white",
            "normal cyan",
            "brightblue bold dim italic ul blink reverse strike",
            "#01ff00 200",
        ] {
            assert_eq!(words(parse(text).unwrap()), text);
        }
        for role in Role::ALL {
            assert_eq!(parse(&words(role.style())), Ok(role.style()), "{role:?}");
        }
        assert_eq!(parse("12 2"), parse("brightblue green"));
        for (text, expected) in [
            ("rouge", "\"rouge\" is no colour and no attribute"),
            ("red blue green", "\"green\" is one colour too many"),
            ("bold on_red", "\"on_red\" is no colour and no attribute"),
            ("#12", "\"#12\" is no colour and no attribute"),
            ("#aé", "\"#aé\" is no style"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{expected}; write a colour")), "{error}");
        }
    }
}
