/** Work that follows typing: it waits for a pause, and newer work replaces older work. */

/** Resolve after this many milliseconds; reject if the signal is aborted before. */
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Runs one job at a time. */
export class Latest {
  #controller = new AbortController();

  /** Abort the job that runs, if any. */
  cancel() {
    this.#controller.abort();
  }

  /**
   * Abort the job that runs, and run `job(signal)`. The errors of a job go to `failed`, except
   * those of aborted jobs, which are dropped as their answers are.
   */
  async run(job, failed) {
    this.cancel();
    this.#controller = new AbortController();
    const { signal } = this.#controller;
    try {
      await job(signal);
    } catch (error) {
      if (!signal.aborted) failed(error);
    }
  }
}
