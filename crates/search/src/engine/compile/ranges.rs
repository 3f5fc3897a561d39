//! What is compared by columns: dates, numbers, quantities, composites, positions.

use super::*;

impl<'s> Compiler<'s, '_> {
    pub(super) fn last_updated(self, tests: &[DateTest]) -> Result<Node<'s>, SearchError> {
        let candidates = self.days(LAST_UPDATED, tests, None)?;
        let column = self.segment.fixed(encode::UPDATED)?;
        let tests = tests.to_vec();
        let check = move |doc| {
            let at = u64_to_i64(column.values.get_val(doc));
            tests.iter().all(|&(comparison, low, high)| compare(comparison, (at, at), (low, high)))
        };
        Ok(Node::check(candidates, Rc::new(check)))
    }

    /// Documents in which for each test some date passes.
    pub(super) fn dates(self, p: u16, tests: &[DateTest]) -> Result<Node<'s>, SearchError> {
        let several = if tests.len() > 1 { Some(self.one(terms::head(p, kind::DATES))?) } else { None };
        let candidates = self.days(p, tests, several)?;
        let Some(lows) = self.segment.numbers(p, column::DATE_LOW)? else { return Ok(Node::Nothing) };
        let Some(widths) = self.segment.numbers(p, column::DATE_WIDTH)? else { return Ok(Node::Nothing) };
        let tests = tests.to_vec();
        let check = move |doc| {
            tests.iter().all(|&(comparison, low, high)| {
                lows.of(doc).zip(widths.of(doc)).any(|(from, width)| {
                    let value = (u64_to_i64(from), u64_to_i64(from.wrapping_add(width)));
                    compare(comparison, value, (low, high))
                })
            })
        };
        Ok(Node::check(candidates, Rc::new(check)))
    }

    /// Candidates by the buckets that all tests leave. Different dates of a document may pass different tests, so with more than one test
    /// the documents with `several` dates are candidates too.
    pub(super) fn days(self, p: u16, tests: &[DateTest], several: Option<Node<'s>>) -> Result<Node<'s>, SearchError> {
        let mut nodes: Vec<Node<'s>> = several.into_iter().collect();
        let mut found = Found::default();
        for class in 0..buckets::CLASSES {
            let (mut first, mut last) = (0, u32::MAX);
            for &(comparison, low, high) in tests {
                let (from, to) = buckets::days(class, comparison, low, high);
                (first, last) = (first.max(from), last.min(to));
            }
            for (level, from, to) in buckets::cover(first, last) {
                let start = buckets::term(p, level, class, from);
                let end = terms::end_of(&buckets::term(p, level, class, to));
                self.range(&mut found, start, end, &mut |_| true)?;
            }
        }
        nodes.push(found.node());
        Ok(Node::any(nodes))
    }

    pub(super) fn numbers(self, p: u16, comparison: Comparison, asked: (f64, f64)) -> Result<Node<'s>, SearchError> {
        let names = [column::NUMBER_LOW, column::NUMBER_WIDTH];
        let Some(range) = self.range_check(p, names, comparison, asked)? else { return Ok(Node::Nothing) };
        let present = self.one(terms::head(p, kind::PRESENT))?;
        Ok(Node::check(present, Rc::new(move |doc| range(doc, &mut |_| true))))
    }

    pub(super) fn quantities(
        self,
        p: u16,
        comparison: Comparison,
        asked: (f64, f64),
        unit: &UnitTest,
    ) -> Result<Node<'s>, SearchError> {
        let names = match unit {
            UnitTest::Canonical(_) => [column::QUANTITY_BASE_LOW, column::QUANTITY_BASE_WIDTH],
            _ => [column::QUANTITY_LOW, column::QUANTITY_WIDTH],
        };
        let Some(range) = self.range_check(p, names, comparison, asked)? else { return Ok(Node::Nothing) };
        let present = self.one(terms::head(p, kind::PRESENT))?;
        if *unit == UnitTest::Any {
            return Ok(Node::check(present, Rc::new(move |doc| range(doc, &mut |_| true))));
        }
        let Some(units) = self.segment.texts(p, column::QUANTITY_UNIT)? else { return Ok(Node::Nothing) };
        let (segment, unit, known) = (self.segment, unit.clone(), Known::default());
        let check = move |doc: DocId| {
            range(doc, &mut |place| {
                units.term_ords(doc).nth(place).is_some_and(|number| {
                    known.get(number, || {
                        let text = segment.checked(segment.text(&units, number), String::new());
                        codec::read_unit(&text).is_some_and(|texts| is_unit(&unit, &texts))
                    })
                })
            })
        };
        Ok(Node::check(present, Rc::new(check)))
    }

    /// Whether some range of a document compares so; `and` is asked of each that does, by its place among the document's.
    #[expect(clippy::type_complexity, reason = "a check with one more question")]
    pub(super) fn range_check(
        self,
        p: u16,
        [low, width]: [&str; 2],
        comparison: Comparison,
        asked: (f64, f64),
    ) -> Result<Option<impl Fn(DocId, &mut dyn FnMut(usize) -> bool) -> bool + 's>, SearchError> {
        let (Some(lows), Some(widths)) = (self.segment.numbers(p, low)?, self.segment.numbers(p, width)?) else {
            return Ok(None);
        };
        Ok(Some(move |doc: DocId, and: &mut dyn FnMut(usize) -> bool| {
            lows.of(doc).zip(widths.of(doc)).enumerate().any(|(place, (from, width))| {
                let value = (u64_to_f64(from), u64_to_f64(from.wrapping_add(width)));
                compare(comparison, value, asked) && and(place)
            })
        }))
    }

    pub(super) fn composite(self, p: u16, parts: &[Test], test: &Test) -> Result<Node<'s>, SearchError> {
        let mut nodes = Vec::new();
        for (place, part) in parts.iter().enumerate().take(usize::from(u8::MAX)) {
            if let Test::TokenIs { code, .. } = part {
                nodes.push(self.one(terms::part(p, place as u8, code))?);
            }
        }
        if nodes.is_empty() {
            nodes.push(self.one(terms::head(p, kind::PRESENT))?);
        }
        let Some(wholes) = self.segment.texts(p, column::WHOLE)? else { return Ok(Node::Nothing) };
        let (segment, test, known) = (self.segment, test.clone(), Known::default());
        let check: Check<'s> = Rc::new(move |doc| {
            wholes.term_ords(doc).any(|number| known.get(number, || whole_passes(segment, &wholes, number, &test)))
        });
        Ok(Node::check(Node::all(nodes), check))
    }

    pub(super) fn near(self, p: u16, test: &Test) -> Result<Node<'s>, SearchError> {
        let north = self.segment.numbers(p, column::LATITUDE)?;
        let (Some(north), Some(east)) = (north, self.segment.numbers(p, column::LONGITUDE)?) else {
            return Ok(Node::Nothing);
        };
        let present = self.one(terms::head(p, kind::PRESENT))?;
        let test = test.clone();
        let check = move |doc| {
            north.of(doc).zip(east.of(doc)).any(|(north, east)| {
                passes(&test, &Value::Position { latitude: u64_to_f64(north), longitude: u64_to_f64(east) })
            })
        };
        Ok(Node::check(present, Rc::new(check)))
    }
}

pub(super) fn whole_passes(
    segment: &Segment<'_>,
    column: &tantivy::columnar::StrColumn,
    number: u64,
    test: &Test,
) -> bool {
    let text = segment.checked(segment.text(column, number), String::new());
    codec::read(&text).is_some_and(|value| passes(test, &value))
}

/// Whether a quantity's texts (system, code, unit, unit in base units) are what is asked for.
fn is_unit(unit: &UnitTest, [system, code, text, base]: &[Option<Box<str>>; 4]) -> bool {
    match unit {
        UnitTest::Any => true,
        UnitTest::Is { system: of, code: asked } => system.as_ref() == Some(of) && code.as_ref() == Some(asked),
        UnitTest::Written(asked) => code.as_ref() == Some(asked) || text.as_ref() == Some(asked),
        UnitTest::Canonical(asked) => base.as_ref() == Some(asked),
    }
}
