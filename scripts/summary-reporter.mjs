/**
 * Counts a Vitest run so that nothing which went wrong is missed: besides tests, a file that does not load, a suite whose
 * hooks fail, a test that was never finished and an error that nobody caught each count as failed.
 */
export class SummaryReporter {
  passed = 0;
  failed = 0;
  skipped = 0;
  files = 0;

  onTestRunEnd(modules, unhandledErrors) {
    this.failed += unhandledErrors.length;
    for (const module of modules) this.#count(module);
  }

  #count(module) {
    this.files++;
    const failedBefore = this.failed;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === "passed") this.passed++;
      else if (state === "skipped") this.skipped++;
      else this.failed++;
    }
    for (const suite of module.children.allSuites()) if (suite.errors().length > 0) this.failed++;
    if (module.errors().length > 0) this.failed++;
    if (!module.ok() && this.failed === failedBefore) this.failed++;
  }

  /** `3 passed, 0 failed`, with `, 1 skipped` where some were. */
  get line() {
    return `${this.passed} passed, ${this.failed} failed${this.skipped > 0 ? `, ${this.skipped} skipped` : ""}`;
  }
}
