//! How fast policies decide, and how long a visibility takes.

use super::*;

/// Figures for docs/policy.md: `cargo test -p tacet-policy --release figures -- --ignored --nocapture`.
#[test]
#[ignore = "prints figures"]
#[expect(clippy::disallowed_methods, reason = "it measures")]
fn figures() {
    use std::time::Instant;
    let policies = Policies::load(crate::BUILT_IN).unwrap();
    let bare = Standing::of(&somebody(Role::Clinician), Act::Read);
    let situations: Vec<Situation> = Relation::ALL
        .iter()
        .flat_map(|relation| {
            let standing = Standing { relations: RelationSet::of([*relation]), ..bare };
            let labels = std::iter::once(None).chain(Label::all().map(Some)).collect::<Vec<_>>();
            let each = move |category: &Category| {
                let category = *category;
                labels.clone().into_iter().map(move |label| standing.situation(category, label, false))
            };
            Category::ALL.iter().flat_map(each).collect::<Vec<_>>()
        })
        .collect();
    let per_second = |what: &str, decide: &dyn Fn(&Situation) -> crate::Decision| {
        let start = Instant::now();
        let permits = situations.iter().filter(|situation| decide(situation).permit).count();
        let rate = situations.len() as f64 / start.elapsed().as_secs_f64();
        println!("{what}: {rate:.0} decisions/s, {permits} of {} permitted", situations.len());
    };
    per_second("by Cedar", &|situation| policies.decide_anew(situation));
    per_second("first", &|situation| policies.decide(situation));
    per_second("kept", &|situation| policies.decide(situation));
    let start = Instant::now();
    let simulation = crate::simulate(&policies, &Policies::built_in());
    println!("simulation: {} situations in {:?}", simulation.tried, start.elapsed());
    let now = Timestamp::from_ms(NOW_MS);
    for count in [30, 300, 3_000] {
        let mut said = ward_of(count);
        for number in 0..1_000 {
            said.flags.insert(id(&format!("f{number}")), PatientFlags { staff: true, ..PatientFlags::NONE });
        }
        let fresh = Policies::load(crate::BUILT_IN).unwrap();
        let clinician = somebody(Role::Clinician);
        for (what, policies) in [("first", &fresh), ("again", &fresh)] {
            let start = Instant::now();
            let visibility = visibility(policies, &said, &CareSettings::default(), &clinician, Act::Read, now);
            println!("{count} patients, {what}: {:?}, {} classes", start.elapsed(), visibility.classes.len());
        }
    }
}
