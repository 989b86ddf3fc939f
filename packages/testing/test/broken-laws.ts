import { describe, expect, it } from "vitest";
import type { Law } from "../src/index.ts";

/** For every law something that breaks it, and what the law then says. */
export type Mutants<Subject> = Readonly<
  Record<string, { readonly mutant: string; readonly make: () => Subject; readonly says: RegExp }>
>;

/** The lawful subject breaks no law; every law has a mutant, and catches it in the words expected. */
export function testMutants<Subject>(
  mutants: Mutants<Subject>,
  lawsOf: (make: () => Subject) => readonly Law[],
  good: () => Subject,
): void {
  it("every law has one name and a mutant", () => {
    const names = lawsOf(good).map(({ name }) => name);
    expect([...names].sort()).toEqual(Object.keys(mutants).sort());
  });
  for (const [name, { mutant, make, says }] of Object.entries(mutants)) {
    describe(name, () => {
      const find = (laws: readonly Law[]) => laws.find((law) => law.name === name)!;
      it("holds for what all mutants are made from", () => find(lawsOf(good)).run());
      it(`catches: ${mutant}`, async () => {
        const error = await find(lawsOf(make))
          .run()
          .catch((reason: unknown) => reason);
        expect(error).toBeInstanceOf(Error);
        expect((error as Error).message).toMatch(says);
      });
    });
  }
}
