//! From the text of an expression to tokens (FHIRPath N1, "Lexical Elements" and the grammar's appendix).
//!
//! Dates, times and decimals are read to values here, so that a faulty literal is found at its place. A token costs
//! at most a few times the bytes it was read from, and the text is bounded by [`TEXT_BYTES_MAX`].

use crate::error::CompileError;
use crate::temporal::{Moment, read_literal_date, read_time};
use rust_decimal::Decimal;

/// The longest expression, in bytes. The longest invariant of R4 has under 3,000.
pub(crate) const TEXT_BYTES_MAX: usize = 64 * 1024;

/// One token.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Token {
    /// A name, plain.
    Name(String),
    /// A name between back quotes: never a keyword.
    Delimited(String),
    /// Text between single quotes, unescaped.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Decimal(Decimal),
    /// `@2015-02-04`
    Date(Moment),
    /// `@2015-02-04T10:00`
    DateTime(Moment),
    /// `@T10:00`
    Time(Moment),
    /// `$this`, `$index`, `$total`, without the sign.
    Dollar(String),
    /// An operator or a bracket.
    Sign(&'static str),
}

/// A token and the bytes before it.
pub(crate) type Placed = (usize, Token);

/// Operators and brackets, longer ones first where one begins another.
const SIGNS: [&str; 22] =
    ["!=", "!~", "<=", ">=", "=", "~", "<", ">", "+", "-", "*", "/", "&", "|", "(", ")", "[", "]", "{", "}", ",", "."];

/// Reads the whole text.
pub(crate) fn read(text: &str) -> Result<Vec<Placed>, CompileError> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(CompileError::new(TEXT_BYTES_MAX, "the expression is longer than allowed"));
    }
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::new();
    loop {
        lexer.skip_space()?;
        let start = lexer.at;
        let Some(token) = lexer.token()? else { return Ok(tokens) };
        tokens.push((start, token));
    }
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn fail<T>(&self, message: impl Into<String>) -> Result<T, CompileError> {
        Err(CompileError::new(self.at, message))
    }

    /// White space and comments.
    fn skip_space(&mut self) -> Result<(), CompileError> {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n', '\u{A0}']);
            self.at += rest.len() - trimmed.len();
            if trimmed.starts_with("//") {
                self.at += trimmed.find('\n').unwrap_or(trimmed.len());
            } else if trimmed.starts_with("/*") {
                match trimmed.get(2..).and_then(|inner| inner.find("*/")) {
                    Some(end) => self.at += end + 4,
                    None => return self.fail("a comment does not end"),
                }
            } else {
                return Ok(());
            }
        }
    }

    fn token(&mut self) -> Result<Option<Token>, CompileError> {
        let Some(first) = self.peek() else { return Ok(None) };
        let token = match first {
            'a'..='z' | 'A'..='Z' | '_' => Token::Name(self.word().to_owned()),
            '0'..='9' => self.number()?,
            '\'' => Token::Text(self.quoted('\'')?),
            '`' => Token::Delimited(self.quoted('`')?),
            '@' => self.moment()?,
            '$' => {
                self.at += 1;
                Token::Dollar(self.word().to_owned())
            }
            '%' => {
                self.at += 1;
                return Ok(Some(Token::Sign("%")));
            }
            _ => match SIGNS.iter().find(|sign| self.rest().starts_with(**sign)) {
                Some(sign) => {
                    self.at += sign.len();
                    Token::Sign(sign)
                }
                None => return self.fail("a character that means nothing here"),
            },
        };
        Ok(Some(token))
    }

    fn take_while(&mut self, keep: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|letter| !keep(letter)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn word(&mut self) -> &'t str {
        self.take_while(|letter| letter.is_ascii_alphanumeric() || letter == '_')
    }

    fn number(&mut self) -> Result<Token, CompileError> {
        let start = self.at;
        let whole = self.take_while(|letter| letter.is_ascii_digit());
        let rest = self.rest();
        let fraction = rest.strip_prefix('.').is_some_and(|after| after.starts_with(|c: char| c.is_ascii_digit()));
        if !fraction {
            return match whole.parse::<i64>() {
                Ok(value) if value <= i64::from(i32::MAX) + 1 => Ok(Token::Integer(value)),
                _ => Err(CompileError::new(start, "a whole number beyond 32 bits: write it with a fraction")),
            };
        }
        self.at += 1;
        self.take_while(|letter| letter.is_ascii_digit());
        let digits = self.text.get(start..self.at).unwrap_or_default();
        match Decimal::from_str_exact(digits) {
            Ok(value) => Ok(Token::Decimal(value)),
            Err(_) => Err(CompileError::new(start, "a number with more digits than can be kept")),
        }
    }

    /// Text up to the same quote, with its escapes replaced.
    fn quoted(&mut self, quote: char) -> Result<String, CompileError> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            text.push_str(self.take_while(|letter| letter != quote && letter != '\\'));
            match self.peek() {
                None => return Err(CompileError::new(start, "a text does not end")),
                Some('\\') => {
                    let (letter, length) = match crate::text::escape(self.rest(), crate::text::Escapes::FhirPath) {
                        Some(found) => found,
                        None => return self.fail("an escape that is not known"),
                    };
                    text.push(letter);
                    self.at += length;
                }
                Some(_) => {
                    self.at += 1;
                    return Ok(text);
                }
            }
        }
    }

    fn moment(&mut self) -> Result<Token, CompileError> {
        let start = self.at;
        self.at += 1;
        let fault = |what: &str| Err(CompileError::new(start, what.to_owned()));
        if self.rest().starts_with('T') {
            self.at += 1;
            let body = self.time_body();
            return match read_time(body) {
                Some(time) => Ok(Token::Time(time)),
                None => fault("not a time: expected @Thh:mm:ss.fff"),
            };
        }
        let from = self.at;
        self.take_while(|letter| letter.is_ascii_digit() || letter == '-');
        let with_time = self.rest().starts_with('T');
        if with_time {
            self.at += 1;
            self.time_body();
            if self.text.get(from..self.at).is_some_and(|so_far| !so_far.ends_with('T')) {
                self.zone();
            }
        }
        match read_literal_date(self.text.get(from..self.at).unwrap_or_default()) {
            Some(moment) if with_time => Ok(Token::DateTime(moment)),
            Some(moment) => Ok(Token::Date(moment)),
            None => fault("not a date or time: expected @YYYY-MM-DDThh:mm:ss.fff and a zone"),
        }
    }

    /// Digits and colons, and a fraction where digits follow the point.
    fn time_body(&mut self) -> &'t str {
        let start = self.at;
        self.take_while(|letter| letter.is_ascii_digit() || letter == ':');
        if self.rest().strip_prefix('.').is_some_and(|after| after.starts_with(|c: char| c.is_ascii_digit())) {
            self.at += 1;
            self.take_while(|letter| letter.is_ascii_digit());
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn zone(&mut self) {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        if rest.starts_with('Z') {
            self.at += 1;
        } else if rest.starts_with(['+', '-'])
            && digit(1)
            && digit(2)
            && bytes.get(3) == Some(&b':')
            && digit(4)
            && digit(5)
        {
            self.at += 6;
        }
    }
}
