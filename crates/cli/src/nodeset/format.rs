//! `-O`: one value in a format like C's printf, and `-S`: a separator with escapes. Both in Python's dialect, which scripts were written for.

/// A format that is none, or not for one value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum FormatError {
    #[error("not enough arguments for format string")]
    TooFewValues,
    #[error("not all arguments converted during string formatting")]
    TooManyValues,
    #[error("format requires a mapping")]
    NeedsMapping,
    #[error("%{0} format: a real number is required, not str")]
    NeedsNumber(char),
    #[error("unsupported format character '{0}'")]
    Unsupported(char),
    #[error("incomplete format")]
    Incomplete,
    #[error("width or precision too large")]
    TooWide,
}

/// Wider than this is a mistake that should not take the machine's memory.
const MAX_WIDTH: usize = 65_536;

/// What a format is given.
#[derive(Debug, Clone, Copy)]
pub(super) enum Value<'a> {
    Text(&'a str),
    Number(u128),
}

/// A format for exactly one value, read once and applied to every node.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Format {
    before: String,
    after: String,
    field: Field,
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Field {
    conversion: char,
    left: bool,
    zero: bool,
    plus: bool,
    width: usize,
    precision: Option<usize>,
}

impl Format {
    pub(super) fn read(text: &str) -> Result<Format, FormatError> {
        let mut literal = String::new();
        let mut before_and_field = None;
        let mut characters = text.chars().peekable();
        while let Some(character) = characters.next() {
            if character != '%' {
                literal.push(character);
                continue;
            }
            let field = read_field(&mut characters)?;
            if field.conversion == '%' {
                literal.push('%');
            } else if before_and_field.is_some() {
                return Err(FormatError::TooFewValues);
            } else {
                before_and_field = Some((std::mem::take(&mut literal), field));
            }
        }
        let (before, field) = before_and_field.ok_or(FormatError::TooManyValues)?;
        Ok(Format { before, after: literal, field })
    }

    /// Whether it changes nothing.
    pub(super) fn is_plain(&self) -> bool {
        self.before.is_empty() && self.after.is_empty() && self.field == Field { conversion: 's', ..Field::default() }
    }

    pub(super) fn apply(&self, value: Value<'_>) -> Result<String, FormatError> {
        Ok(format!("{}{}{}", self.before, self.field.apply(value)?, self.after))
    }
}

fn read_field(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<Field, FormatError> {
    let mut field = Field::default();
    while let Some(&flag) = characters.peek() {
        match flag {
            '(' => return Err(FormatError::NeedsMapping),
            '-' => field.left = true,
            '0' => field.zero = true,
            '+' => field.plus = true,
            ' ' | '#' => {}
            _ => break,
        }
        characters.next();
    }
    field.width = read_number(characters)?;
    if characters.next_if_eq(&'.').is_some() {
        field.precision = Some(read_number(characters)?);
    }
    while characters.next_if(|character| matches!(character, 'l' | 'h' | 'L')).is_some() {}
    field.conversion = characters.next().ok_or(FormatError::Incomplete)?;
    Ok(field)
}

fn read_number(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Result<usize, FormatError> {
    let mut number = 0;
    while let Some(digit) = characters.peek().and_then(|character| character.to_digit(10)) {
        characters.next();
        number = number * 10 + digit as usize;
        if number > MAX_WIDTH {
            return Err(FormatError::TooWide);
        }
    }
    if characters.peek() == Some(&'*') { Err(FormatError::TooFewValues) } else { Ok(number) }
}

impl Field {
    fn apply(&self, value: Value<'_>) -> Result<String, FormatError> {
        let text = match (self.conversion, value) {
            ('s', Value::Text(text)) => self.cut(text.to_owned()),
            ('r' | 'a', Value::Text(text)) => self.cut(quoted(text)),
            ('s' | 'r' | 'a', Value::Number(number)) => self.cut(number.to_string()),
            ('d' | 'i' | 'u', Value::Number(number)) => self.digits(number.to_string()),
            ('x', Value::Number(number)) => self.digits(format!("{number:x}")),
            ('X', Value::Number(number)) => self.digits(format!("{number:X}")),
            ('o', Value::Number(number)) => self.digits(format!("{number:o}")),
            (conversion @ ('d' | 'i' | 'u' | 'x' | 'X' | 'o' | 'e' | 'E' | 'f' | 'F' | 'g' | 'G'), Value::Text(_)) => {
                return Err(FormatError::NeedsNumber(conversion));
            }
            (conversion, _) => return Err(FormatError::Unsupported(conversion)),
        };
        let missing = self.width.saturating_sub(text.chars().count());
        Ok(if self.left { text + &" ".repeat(missing) } else { " ".repeat(missing) + &text })
    }

    fn cut(&self, text: String) -> String {
        self.precision.map_or_else(|| text.clone(), |precision| text.chars().take(precision).collect())
    }

    fn digits(&self, digits: String) -> String {
        let sign = if self.plus { "+" } else { "" };
        let wanted = if self.zero && !self.left { self.width.saturating_sub(sign.len()) } else { 0 };
        let zeros = wanted.max(self.precision.unwrap_or(0)).saturating_sub(digits.len());
        format!("{sign}{}{digits}", "0".repeat(zeros))
    }
}

/// As Python shows a string.
fn quoted(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let inside = text.replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t");
    let inside = if quote == '\'' { inside.replace('\'', "\\'") } else { inside };
    format!("{quote}{inside}{quote}")
}

/// The text of a separator in which escapes stand for characters; `None` when an escape is broken.
pub(super) fn separator(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '\\' {
            // Python reads it between apostrophes, so a bare one cannot be said.
            if character == '\'' {
                return None;
            }
            out.push(character);
            continue;
        }
        match characters.next()? {
            'n' => out.push('\n'),
            't' => out.push('\t'),
            'r' => out.push('\r'),
            'a' => out.push('\u{7}'),
            'b' => out.push('\u{8}'),
            'f' => out.push('\u{c}'),
            'v' => out.push('\u{b}'),
            same @ ('\\' | '\'' | '"') => out.push(same),
            'x' => out.push(code(&mut characters, 16, 2, 2)?),
            'u' => out.push(code(&mut characters, 16, 4, 4)?),
            'U' => out.push(code(&mut characters, 16, 8, 8)?),
            octal if octal.is_digit(8) => {
                let first = octal.to_digit(8)?;
                out.push(octal_code(first, &mut characters)?);
            }
            other => out.extend(['\\', other]),
        }
    }
    Some(out)
}

fn code(
    characters: &mut std::iter::Peekable<std::str::Chars<'_>>,
    radix: u32,
    least: usize,
    most: usize,
) -> Option<char> {
    let mut value = 0_u32;
    let mut read = 0;
    while read < most
        && let Some(digit) = characters.peek().and_then(|character| character.to_digit(radix))
    {
        characters.next();
        value = value.checked_mul(radix)?.checked_add(digit)?;
        read += 1;
    }
    if read < least { None } else { char::from_u32(value) }
}

fn octal_code(first: u32, characters: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<char> {
    let mut value = first;
    for _ in 0..2 {
        let Some(digit) = characters.peek().and_then(|character| character.to_digit(8)) else { break };
        characters.next();
        value = value * 8 + digit;
    }
    char::from_u32(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(format: &str, value: Value<'_>, expected: &str) {
        assert_eq!(Format::read(format).unwrap().apply(value).unwrap(), expected, "{format}");
    }

    #[test]
    fn one_value_is_formatted_as_python_does() {
        check("%s-ipmi", Value::Text("n1"), "n1-ipmi");
        check("%%%s", Value::Text("n1"), "%n1");
        check("%5s|", Value::Text("é1"), "   é1|");
        check("%-5s|", Value::Text("a1"), "a1   |");
        check("%.2s", Value::Text("abc"), "ab");
        check("%r", Value::Text("it's"), "\"it's\"");
        check("%05d", Value::Number(42), "00042");
        check("%x", Value::Number(255), "ff");
    }

    #[test]
    fn formats_for_other_than_one_value_are_refused() {
        assert_eq!(Format::read("x"), Err(FormatError::TooManyValues));
        assert_eq!(Format::read("%s%s"), Err(FormatError::TooFewValues));
        assert_eq!(Format::read("%(x)s"), Err(FormatError::NeedsMapping));
        assert_eq!(Format::read("%"), Err(FormatError::Incomplete));
        assert_eq!(Format::read("%99999999999s"), Err(FormatError::TooWide));
        assert_eq!(Format::read("%d").unwrap().apply(Value::Text("a")), Err(FormatError::NeedsNumber('d')));
        assert_eq!(Format::read("%y").unwrap().apply(Value::Text("a")), Err(FormatError::Unsupported('y')));
    }

    #[test]
    fn separators_have_pythons_escapes() {
        assert_eq!(separator("\\n\\tx\\0\\u0041\\101").as_deref(), Some("\n\tx\0AA"));
        assert_eq!(separator("\\\\").as_deref(), Some("\\"));
        assert_eq!(separator("\\q\"").as_deref(), Some("\\q\""));
        assert_eq!(separator("\\x4"), None);
        assert_eq!(separator("\\"), None);
        assert_eq!(separator("'"), None);
    }
}
