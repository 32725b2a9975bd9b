//! The syntax of regular expressions that are searched for in streams of bytes: that of the `regex` crate, with the rules
//! that [`Pattern::regex`](super::Pattern::regex) lists.

use regex_syntax::ast::{Ast, Flag, Flags, FlagsItem, FlagsItemKind, Group, GroupKind, parse};
use regex_syntax::hir::translate::TranslatorBuilder;
use regex_syntax::hir::{self, Hir};

/// Parses a pattern; the error is a sentence that shows the place.
pub(super) fn parse(pattern: &str) -> Result<Hir, String> {
    let mut ast = parse::Parser::new().parse(pattern).map_err(|error| error.to_string())?;
    let_dot_match_carriage_return(&mut ast);
    let mut translator = TranslatorBuilder::new().multi_line(true).crlf(true).unicode(false).utf8(false).build();
    translator.translate(pattern, &ast).map_err(|error| match error.kind() {
        hir::ErrorKind::UnicodeNotAllowed => {
            format!("{error} (classes are of bytes; write (?u) in front for those of Unicode)")
        }
        _ => error.to_string(),
    })
}

/// Makes every `.` a `(?-R:.)`.
///
/// The flag `R` says two things: that `^` and `$` know CR LF, which suits terminals, and that `.` does not match CR, which
/// would keep `load average.*\n` from matching any line of a terminal. Only the first is wanted, and only the syntax
/// tree still tells them apart: translated, a dot is a class like any other. The parser bounds the depth of the recursion.
fn let_dot_match_carriage_return(ast: &mut Ast) {
    match ast {
        Ast::Dot(span) => {
            let (span, dot) = (**span, ast.clone());
            let item = |kind| FlagsItem { span, kind };
            let items = vec![item(FlagsItemKind::Negation), item(FlagsItemKind::Flag(Flag::CRLF))];
            let kind = GroupKind::NonCapturing(Flags { span, items });
            *ast = Ast::group(Group { span, kind, ast: Box::new(dot) });
        }
        Ast::Repetition(repetition) => let_dot_match_carriage_return(&mut repetition.ast),
        Ast::Group(group) => let_dot_match_carriage_return(&mut group.ast),
        Ast::Alternation(alternation) => alternation.asts.iter_mut().for_each(let_dot_match_carriage_return),
        Ast::Concat(concat) => concat.asts.iter_mut().for_each(let_dot_match_carriage_return),
        Ast::Empty(_)
        | Ast::Flags(_)
        | Ast::Literal(_)
        | Ast::Assertion(_)
        | Ast::ClassUnicode(_)
        | Ast::ClassPerl(_)
        | Ast::ClassBracketed(_) => {}
    }
}
