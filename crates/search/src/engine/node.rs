//! A filter as one segment evaluates it: which posting lists, in what combination, and what is looked at afterwards.

use super::docs::{Check, Conjunction, Docs, Everything, Gathered, Nothing, Union, Walk};
use super::segment::Segment;
use crate::error::SearchError;
use std::cell::OnceCell;
use std::rc::Rc;
use tantivy::postings::TermInfo;
use tantivy::{DocId, TERMINATED};

/// Up to so many posting lists are walked side by side; more are gathered first.
const UNION_LISTS_MAX: usize = 8;

/// Candidates for a check are walked only if they are not so many times more than what there is to check without them: to look at a
/// document costs several times what a step in a list does.
const CANDIDATES_FACTOR: u64 = 8;

/// Which documents of a segment.
pub(super) enum Node<'s> {
    Nothing,
    Everything,
    /// Documents with one of these terms.
    Terms(Terms),
    All(Vec<Node<'s>>),
    Any(Vec<Node<'s>>),
    Not(Box<Node<'s>>),
    /// Of the candidates those that pass. The check alone is exact: it holds for no other document.
    Check(Box<Node<'s>>, Check<'s>),
}

/// Terms, and what was gathered from them if they are many.
pub(super) struct Terms {
    infos: Vec<TermInfo>,
    of: Of,
    gathered: OnceCell<Rc<Gathered>>,
}

/// What is known of the documents of several terms.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Of {
    /// They are of any type.
    Any,
    /// They are of the types that the filter was compiled for.
    Types,
    /// They are of those types, and none has two of the terms.
    TypesOnce,
}

impl<'s> Node<'s> {
    pub(super) fn terms(infos: Vec<TermInfo>, of: Of) -> Self {
        if infos.is_empty() { Self::Nothing } else { Self::Terms(Terms { infos, of, gathered: OnceCell::new() }) }
    }

    /// Whether what it walks is of the types that the filter was compiled for, whatever leads.
    pub(super) fn is_of_types(&self) -> bool {
        match self {
            Self::Nothing => true,
            Self::Terms(terms) => terms.of >= Of::Types,
            Self::All(nodes) => nodes.iter().any(Self::is_of_types),
            Self::Any(nodes) => nodes.iter().all(Self::is_of_types),
            // A check holds for documents that are not among its candidates.
            Self::Everything | Self::Not(_) | Self::Check(..) => false,
        }
    }

    pub(super) fn check(candidates: Self, check: Check<'s>) -> Self {
        if matches!(candidates, Self::Nothing) { candidates } else { Self::Check(Box::new(candidates), check) }
    }

    pub(super) fn all(nodes: Vec<Self>) -> Self {
        let mut kept = Vec::with_capacity(nodes.len());
        for node in nodes {
            match node {
                Self::Nothing => return Self::Nothing,
                Self::Everything => {}
                Self::All(inner) => kept.extend(inner),
                node => kept.push(node),
            }
        }
        match kept.len() {
            0 => Self::Everything,
            1 => kept.pop().unwrap_or(Self::Everything),
            _ => Self::All(kept),
        }
    }

    pub(super) fn any(nodes: Vec<Self>) -> Self {
        let mut kept = Vec::with_capacity(nodes.len());
        let (mut infos, mut of) = (Vec::new(), Of::Types);
        for node in nodes {
            match node {
                Self::Nothing => {}
                Self::Everything => return Self::Everything,
                Self::Any(inner) => kept.extend(inner),
                Self::Terms(terms) => {
                    // The terms of one are as they were; of several, a document may have two.
                    of = if infos.is_empty() { terms.of } else { of.min(terms.of).min(Of::Types) };
                    infos.extend(terms.infos);
                }
                node => kept.push(node),
            }
        }
        if !infos.is_empty() {
            kept.push(Self::terms(infos, of));
        }
        match kept.len() {
            0 => Self::Nothing,
            1 => kept.pop().unwrap_or(Self::Nothing),
            _ => Self::Any(kept),
        }
    }

    pub(super) fn not(self) -> Self {
        match self {
            Self::Nothing => Self::Everything,
            Self::Everything => Self::Nothing,
            Self::Not(inner) => *inner,
            node => Self::Not(Box::new(node)),
        }
    }

    /// At most about so many documents.
    pub(super) fn estimate(&self, max_doc: DocId) -> u64 {
        let all = u64::from(max_doc);
        match self {
            Self::Nothing => 0,
            Self::Everything => all,
            Self::Terms(terms) => terms.infos.iter().map(|info| u64::from(info.doc_freq)).sum::<u64>().min(all),
            Self::All(nodes) => nodes.iter().map(|node| node.estimate(max_doc)).min().unwrap_or(all),
            Self::Any(nodes) => nodes.iter().map(|node| node.estimate(max_doc)).sum::<u64>().min(all),
            Self::Not(inner) => match &**inner {
                Self::Terms(_) => all.saturating_sub(inner.estimate(max_doc)),
                _ => all,
            },
            Self::Check(candidates, _) => candidates.estimate(max_doc),
        }
    }

    /// How many documents with deleted ones, if that is known without looking.
    pub(super) fn exact(&self, max_doc: DocId) -> Option<u64> {
        match self {
            Self::Nothing => Some(0),
            Self::Everything => Some(u64::from(max_doc)),
            Self::Terms(terms) => {
                let known = terms.infos.len() == 1 || terms.of == Of::TypesOnce;
                known.then(|| terms.infos.iter().map(|info| u64::from(info.doc_freq)).sum())
            }
            Self::Not(inner) => Some(u64::from(max_doc) - inner.exact(max_doc)?),
            _ => None,
        }
    }

    /// Walks the documents; may be called again.
    pub(super) fn open<'n>(&'n self, segment: &Segment<'_>) -> Result<Box<dyn Docs + 'n>, SearchError> {
        Ok(match self {
            Self::Nothing => Box::new(Nothing),
            Self::Everything => Box::new(Everything { at: 0, max: segment.max_doc() }),
            Self::Terms(terms) => terms.open(segment)?,
            Self::All(nodes) => conjunction(nodes, segment)?,
            Self::Any(nodes) => {
                let sets = nodes.iter().map(|node| node.open(segment)).collect::<Result<_, _>>()?;
                Box::new(Union::new(sets))
            }
            Self::Not(_) | Self::Check(..) => conjunction(std::slice::from_ref(self), segment)?,
        })
    }
}

impl Terms {
    fn open(&self, segment: &Segment<'_>) -> Result<Box<dyn Docs>, SearchError> {
        if let [one] = self.infos.as_slice() {
            return Ok(Box::new(segment.postings(one)?));
        }
        if self.infos.len() <= UNION_LISTS_MAX {
            let sets = self.infos.iter().map(|info| Ok(Box::new(segment.postings(info)?) as Box<dyn Docs>));
            return Ok(Box::new(Union::new(sets.collect::<Result<_, SearchError>>()?)));
        }
        let set = match self.gathered.get() {
            Some(set) => set.clone(),
            None => {
                let expected = self.infos.iter().map(|info| u64::from(info.doc_freq)).sum();
                let set = Rc::new(Gathered::gather(segment.max_doc(), expected, |push| {
                    for info in &self.infos {
                        let mut postings = segment.postings(info)?;
                        let mut doc = Docs::doc(&postings);
                        while doc != TERMINATED {
                            push(doc);
                            doc = Docs::advance(&mut postings);
                        }
                    }
                    Ok::<_, SearchError>(())
                })?);
                self.gathered.get_or_init(|| set).clone()
            }
        };
        Ok(Box::new(Walk::new(set)))
    }
}

/// What is in all of the nodes: the smallest leads, what must not hold and what must be looked at come last.
fn conjunction<'n>(nodes: &'n [Node<'_>], segment: &Segment<'_>) -> Result<Box<dyn Docs + 'n>, SearchError> {
    let max_doc = segment.max_doc();
    let (mut sets, mut excluded, mut checks): (Vec<(u64, &Node<'_>)>, Vec<_>, Vec<Check<'n>>) = Default::default();
    let mut candidates: Vec<(u64, &Node<'_>)> = Vec::new();
    for node in nodes {
        match node {
            Node::Not(inner) => excluded.push(inner.open(segment)?),
            Node::Check(inner, check) => {
                candidates.push((inner.estimate(max_doc), inner));
                checks.push(check.clone());
            }
            node => sets.push((node.estimate(max_doc), node)),
        }
    }
    candidates.sort_unstable_by_key(|(estimate, _)| *estimate);
    for (estimate, node) in candidates {
        let least = sets.iter().map(|(estimate, _)| *estimate).min();
        if least.is_none_or(|least| estimate <= least.saturating_mul(CANDIDATES_FACTOR)) {
            sets.push((estimate, node));
        }
    }
    sets.sort_by_key(|(estimate, _)| *estimate);
    let mut opened = Vec::with_capacity(sets.len());
    for (_, node) in sets {
        opened.push(node.open(segment)?);
    }
    let first = if opened.is_empty() {
        Box::new(Everything { at: 0, max: max_doc }) as Box<dyn Docs + 'n>
    } else {
        opened.remove(0)
    };
    Ok(Box::new(Conjunction::new(first, opened, excluded, checks)))
}
