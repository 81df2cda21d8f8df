// A stream of messages that resumes: an async iterable.
import {setTimeout as sleep} from "node:timers/promises";

import type {ClientReadableStream, ServiceError} from "@grpc/grpc-js";

import {fromServiceError, Unavailable} from "./errors.js";

/** How a stream is asked for: from which seq on; undefined: as the caller said. */
export type Open<T> = (after: number | undefined) => ClientReadableStream<T>;

interface Sequenced {
    seq?: number;
    event?: {$case: string};
}

/**
 * Messages as they come, for `for await`. Where the method has a cursor, a service that goes away is asked again from the last message on, for as long as
 * patienceMs says; nothing is lost, and nothing comes twice.
 */
export class Stream<T> implements AsyncIterable<T> {
    private last: number | undefined;
    private readonly seen = new Set<string>(); // what has come of the last seq
    private call: ClientReadableStream<T> | undefined;
    private closed = false;

    constructor(private readonly open: Open<T>, private readonly resumes: boolean, private readonly patienceMs: number) {}

    /** Ends it; the iteration stops. */
    close(): void {
        this.closed = true;
        this.call?.cancel();
    }

    /** Whether it has not come before; remembers it. */
    private isNew(message: Sequenced): boolean {
        if (!this.resumes || message.seq === undefined)
            return true;
        const kind = message.event?.$case ?? "";
        if (kind === "init") { // carries the seq asked for, not one of its own
            if (this.last !== undefined)
                return false;
            this.last = message.seq;
            return true;
        }
        if (this.last !== undefined && message.seq < this.last)
            return false;
        if (message.seq !== this.last) {
            this.last = message.seq;
            this.seen.clear();
        }
        if (this.seen.has(kind))
            return false;
        this.seen.add(kind);
        return true;
    }

    async *[Symbol.asyncIterator](): AsyncGenerator<T, void, undefined> {
        let pauseMs = 50;
        let until: number | undefined;
        try {
            while (!this.closed) {
                try {
                    // Several messages may share a seq: the last one is asked for again, and what has come of it is left out.
                    this.call = this.open(this.last === undefined ? undefined : Math.max(this.last - 1, 0));
                    for await (const message of this.call as AsyncIterable<Awaited<T>>) {
                        pauseMs = 50;
                        until = undefined;
                        if (this.isNew(message as Sequenced))
                            yield message;
                    }
                    return;
                } catch (error) {
                    if (this.closed)
                        return;
                    const failure = fromServiceError(error as ServiceError);
                    until ??= Date.now() + this.patienceMs;
                    if (!(failure instanceof Unavailable) || !this.resumes || Date.now() + pauseMs > until)
                        throw failure;
                    await sleep(pauseMs * (0.5 + Math.random() / 2));
                    pauseMs = Math.min(2000, pauseMs * 2);
                }
            }
        } finally {
            this.call?.cancel(); // also when the loop around it was left
        }
    }
}
