//! JSON pointers (RFC 6901): where in a document an operation works.

use crate::budget::{Budget, DEPTH_MAX};
use crate::error::PatchErrorKind;
use std::borrow::Cow;
use tacet_fhir::json::Json;

/// Longest pointer, in bytes.
pub const POINTER_BYTES_MAX: usize = 4_096;

/// A pointer's parts, unescaped. `role` is the member of the operation that it stands in, for errors.
#[derive(Debug)]
pub(crate) struct Pointer<'p> {
    parts: Vec<Cow<'p, str>>,
    role: &'static str,
}

/// An item of a list, or the place behind the last one.
enum Index {
    At(usize),
    End,
}

impl<'p> Pointer<'p> {
    pub(crate) fn parse(text: &'p str, role: &'static str) -> Result<Self, PatchErrorKind> {
        if text.len() > POINTER_BYTES_MAX {
            return Err(PatchErrorKind::TooLong(role));
        }
        if text.is_empty() {
            return Ok(Pointer { parts: Vec::new(), role });
        }
        let rest = text.strip_prefix('/').ok_or(PatchErrorKind::Pointer(role))?;
        let parts: Option<Vec<_>> = rest.split('/').map(unescaped).collect();
        Ok(Pointer { parts: parts.ok_or(PatchErrorKind::Pointer(role))?, role })
    }

    /// How deep it leads.
    pub(crate) fn depth(&self) -> usize {
        self.parts.len()
    }

    /// Whether the other one lies inside what this one names.
    pub(crate) fn is_around(&self, other: &Pointer<'_>) -> bool {
        other.parts.len() > self.parts.len() && other.parts.starts_with(&self.parts)
    }

    pub(crate) fn is_same(&self, other: &Pointer<'_>) -> bool {
        self.parts == other.parts
    }

    /// What it names.
    pub(crate) fn get<'j, 'a>(&self, document: &'j Json<'a>) -> Result<&'j Json<'a>, PatchErrorKind> {
        let mut at = document;
        for part in &self.parts {
            at = match at {
                Json::Object(_) => at.get(part),
                Json::Array(items) => match self.index(part)? {
                    Index::At(index) => items.get(index),
                    Index::End => None,
                },
                _ => return Err(PatchErrorKind::NotAContainer(self.role)),
            }
            .ok_or(PatchErrorKind::NotFound(self.role))?;
        }
        Ok(at)
    }

    fn get_mut<'j, 'a>(
        &self,
        parts: &[Cow<'_, str>],
        document: &'j mut Json<'a>,
    ) -> Result<&'j mut Json<'a>, PatchErrorKind> {
        let mut at = document;
        for part in parts {
            at = match at {
                Json::Object(members) => members.iter_mut().find(|(known, _)| known == part).map(|(_, value)| value),
                Json::Array(items) => match self.index(part)? {
                    Index::At(index) => items.get_mut(index),
                    Index::End => None,
                },
                _ => return Err(PatchErrorKind::NotAContainer(self.role)),
            }
            .ok_or(PatchErrorKind::NotFound(self.role))?;
        }
        Ok(at)
    }

    /// Section 4.1 of RFC 6902: a member gets the value, an item is put in before the one of that index.
    pub(crate) fn add<'a>(
        &self,
        document: &mut Json<'a>,
        value: Json<'a>,
        budget: &mut Budget,
    ) -> Result<(), PatchErrorKind> {
        if self.depth() > DEPTH_MAX {
            return Err(PatchErrorKind::TooDeep);
        }
        let Some((last, parents)) = self.parts.split_last() else {
            *document = value;
            return Ok(());
        };
        match self.get_mut(parents, document)? {
            parent @ Json::Object(_) => {
                parent.set(last.to_string(), value);
            }
            Json::Array(items) => {
                let index = match self.index(last)? {
                    Index::At(index) if index > items.len() => return Err(PatchErrorKind::PastTheEnd(self.role)),
                    Index::At(index) => index,
                    Index::End => items.len(),
                };
                budget.spend(items.len() - index)?;
                items.insert(index, value);
            }
            _ => return Err(PatchErrorKind::NotAContainer(self.role)),
        }
        Ok(())
    }

    /// Section 4.2: takes out what is there.
    pub(crate) fn remove<'a>(&self, document: &mut Json<'a>, budget: &mut Budget) -> Result<Json<'a>, PatchErrorKind> {
        let Some((last, parents)) = self.parts.split_last() else {
            return Ok(std::mem::replace(document, Json::Null));
        };
        match self.get_mut(parents, document)? {
            parent @ Json::Object(_) => {
                budget.spend(parent.members().len())?;
                parent.remove(last).ok_or(PatchErrorKind::NotFound(self.role))
            }
            Json::Array(items) => match self.index(last)? {
                Index::At(index) if index < items.len() => {
                    budget.spend(items.len() - index)?;
                    Ok(items.remove(index))
                }
                _ => Err(PatchErrorKind::NotFound(self.role)),
            },
            _ => Err(PatchErrorKind::NotAContainer(self.role)),
        }
    }

    /// Section 4.3: puts the value in the place of what is there.
    pub(crate) fn replace<'a>(&self, document: &mut Json<'a>, value: Json<'a>) -> Result<(), PatchErrorKind> {
        *self.get_mut(&self.parts, document)? = value;
        Ok(())
    }

    /// RFC 6901 section 4: digits without a zero before them, or `-`.
    fn index(&self, part: &str) -> Result<Index, PatchErrorKind> {
        if part == "-" {
            return Ok(Index::End);
        }
        let is_index = part.bytes().all(|byte| byte.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
        let index = if is_index { part.parse().ok() } else { None };
        index.map(Index::At).ok_or(PatchErrorKind::NotFound(self.role))
    }
}

/// `~1` is `/` and `~0` is `~`; any other `~` is an error.
fn unescaped(part: &str) -> Option<Cow<'_, str>> {
    if !part.contains('~') {
        return Some(Cow::Borrowed(part));
    }
    let mut text = String::with_capacity(part.len());
    let mut letters = part.chars();
    while let Some(letter) = letters.next() {
        text.push(match letter {
            '~' => match letters.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            other => other,
        });
    }
    Some(Cow::Owned(text))
}
