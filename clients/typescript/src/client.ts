// The client: one connection a process of the platform, one property a service, one typed function an RPC.
import {ChannelCredentials, Client as Channel, credentials, Metadata, type CallOptions as GrpcOptions, type ServiceError} from "@grpc/grpc-js";

import {services} from "../generated/services.js";
import {fromServiceError} from "./errors.js";
import {Stream} from "./stream.js";

export interface CallOptions {
    /** How long the call may take; without it the method's own limit or the client's. */
    timeoutMs?: number;
    /** Ends the call. */
    signal?: AbortSignal;
}

export interface ClientOptions {
    /** The addresses of the three processes: HOST:PORT, unix:PATH, or any gRPC name. */
    skillbase?: string;
    campaign?: string;
    analytics?: string;
    /** Without it there is no TLS. */
    credentials?: ChannelCredentials;
    /** How long a call may take where neither its caller nor the method says otherwise; 10 s. */
    timeoutMs?: number;
    /** How long a stream tries to resume; 60 s. */
    patienceMs?: number;
}

// What ts-proto makes of one message, whichever it is: the types of requests and answers come from it in Request and Response.
interface Codec {
    encode(message: any): {finish(): Uint8Array};
    decode(input: Uint8Array): any;
    fromPartial(object: any): any;
}

interface Method {
    name: string;
    requestType: Codec;
    requestStream: boolean;
    responseType: Codec;
    responseStream: boolean;
}

type Request<M extends Method> = Parameters<M["requestType"]["fromPartial"]>[0];
type Response<M extends Method> = ReturnType<M["responseType"]["decode"]>;

/** The function for one RPC, by whether its request and its answer are streams. */
export type Call<M extends Method> = M["requestStream"] extends true
    ? (requests: Iterable<Request<M>> | AsyncIterable<Request<M>>, options?: CallOptions) => Promise<Response<M>>
    : M["responseStream"] extends true
      ? (request: Request<M>, options?: CallOptions) => Stream<Response<M>>
      : (request: Request<M>, options?: CallOptions) => Promise<Response<M>>;

type Definitions = typeof services;
/** client.company.createCompany(…), client.analytics.watchCall(…): all services, all RPCs. */
export type Services = {
    readonly [S in keyof Definitions]: {readonly [M in keyof Definitions[S]["definition"]["methods"]]: Definitions[S]["definition"]["methods"][M] extends Method
        ? Call<Definitions[S]["definition"]["methods"][M]> : never};
};

interface MethodOptions {
    repeatable: boolean;
    timeoutMs: number;
    cursor: string;
}

// gRPC itself repeats what may be repeated: at most 5 times, with a growing random pause, within the call's deadline.
const serviceConfig = JSON.stringify({
    methodConfig: [{
        name: Object.values(services).flatMap(({definition, methods}) => Object.entries(methods as Record<string, MethodOptions>)
            .filter(([, options]) => options.repeatable)
            .map(([name]) => ({service: definition.fullName, method: (definition.methods as Record<string, Method>)[name]!.name}))),
        retryPolicy: {maxAttempts: 5, initialBackoff: "0.1s", maxBackoff: "2s", backoffMultiplier: 2, retryableStatusCodes: ["UNAVAILABLE"]},
    }],
});

/** One method over one connection. The types are those of Services; here they are the same for all. */
class Caller {
    private readonly path: string;
    private readonly serialize: (message: unknown) => Buffer;
    private readonly deserialize: (bytes: Buffer) => unknown;

    constructor(private readonly channel: Channel, service: string, private readonly method: Method, private readonly options: MethodOptions,
        private readonly defaults: Required<Pick<ClientOptions, "timeoutMs" | "patienceMs">>) {
        this.path = `/${service}/${method.name}`;
        this.serialize = (message) => Buffer.from(method.requestType.encode(message).finish());
        this.deserialize = (bytes) => method.responseType.decode(bytes);
    }

    function() {
        if (this.method.requestStream)
            return this.send.bind(this);
        return this.method.responseStream ? this.watch.bind(this) : this.ask.bind(this);
    }

    private deadline(options: CallOptions): GrpcOptions {
        return {deadline: Date.now() + (options.timeoutMs ?? (this.options.timeoutMs || this.defaults.timeoutMs))};
    }

    private ask(request: object, options: CallOptions = {}): Promise<unknown> {
        return new Promise((resolve, reject) => {
            const call = this.channel.makeUnaryRequest(this.path, this.serialize, this.deserialize, this.method.requestType.fromPartial(request), new Metadata(),
                this.deadline(options), ended(resolve, reject, options));
            cancelWith(options, call);
        });
    }

    private send(requests: Iterable<object> | AsyncIterable<object>, options: CallOptions = {}): Promise<unknown> {
        return new Promise((resolve, reject) => {
            const call = this.channel.makeClientStreamRequest(this.path, this.serialize, this.deserialize, new Metadata(), this.deadline(options),
                ended(resolve, reject, options));
            cancelWith(options, call);
            const write = async () => {
                for await (const request of requests) {
                    if (call.destroyed || call.writableEnded) // the service has answered already
                        return;
                    if (!call.write(this.method.requestType.fromPartial(request)))
                        await new Promise<void>((go) => {
                            call.once("drain", go).once("close", go).once("error", () => go()).once("status", () => go());
                        });
                }
                call.end();
            };
            write().catch((error: unknown) => {
                call.cancel();
                reject(error); // what the caller's own iterator threw
            });
        });
    }

    private watch(request: object, options: CallOptions = {}): Stream<unknown> {
        const limits: GrpcOptions = options.timeoutMs === undefined ? {} : {deadline: Date.now() + options.timeoutMs};
        const stream = new Stream<unknown>((after) => {
            const asked = after === undefined ? request : {...request, [this.options.cursor]: after};
            return this.channel.makeServerStreamRequest(this.path, this.serialize, this.deserialize, this.method.requestType.fromPartial(asked),
                new Metadata(), limits);
        }, this.options.cursor !== "", this.defaults.patienceMs);
        cancelWith(options, {cancel: () => stream.close()});
        return stream;
    }
}

const listeners = new WeakMap<CallOptions, () => void>();

function cancelWith(options: CallOptions, call: {cancel(): void}) {
    if (options.signal?.aborted)
        call.cancel();
    else if (options.signal) {
        const listener = () => call.cancel();
        options.signal.addEventListener("abort", listener, {once: true});
        listeners.set(options, listener);
    }
}

function ended(resolve: (value: unknown) => void, reject: (error: unknown) => void, options: CallOptions) {
    return (error: ServiceError | null, value?: unknown) => {
        const listener = listeners.get(options);
        if (listener)
            options.signal?.removeEventListener("abort", listener);
        if (error)
            reject(fromServiceError(error));
        else
            resolve(value);
    };
}

/** What makes a Client: all services of the table, each over the connection to its process. */
class Connections {
    private readonly channels: {[backend: string]: Channel};

    constructor(options: ClientOptions = {}) {
        const settings = {"grpc.service_config": serviceConfig, "grpc.keepalive_time_ms": 30000, "grpc.keepalive_timeout_ms": 10000};
        const secret = options.credentials ?? credentials.createInsecure();
        const addresses = {skillbase: options.skillbase ?? "127.0.0.1:8001", campaign: options.campaign ?? "127.0.0.1:8002",
            analytics: options.analytics ?? "127.0.0.1:8003"};
        this.channels = Object.fromEntries(Object.entries(addresses).map(([backend, address]) => [backend, new Channel(address, secret, settings)]));
        const defaults = {timeoutMs: options.timeoutMs ?? 10000, patienceMs: options.patienceMs ?? 60000};
        for (const [name, {definition, backend, methods}] of Object.entries(services)) {
            const calls = Object.entries(definition.methods as Record<string, Method>).map(([method, each]) => [method,
                new Caller(this.channels[backend]!, definition.fullName, each, (methods as Record<string, MethodOptions>)[method]!, defaults).function()]);
            Object.defineProperty(this, name, {value: Object.freeze(Object.fromEntries(calls)), enumerable: true});
        }
    }

    close(): void {
        for (const channel of Object.values(this.channels))
            channel.close();
    }
}

/** The platform's services. Close it when it is no longer needed. */
export type Client = Services & {close(): void};
export const Client = Connections as unknown as {new (options?: ClientOptions): Client};

/** Of a platform that `./dev up` started: the services take the three ports after the gateway's. */
export function clientAt(port = 8000, host = "127.0.0.1", options: ClientOptions = {}): Client {
    return new Client({skillbase: `${host}:${port + 1}`, campaign: `${host}:${port + 2}`, analytics: `${host}:${port + 3}`, ...options});
}

/** All items of a list, page after page as they are needed: `for await (const campaign of pages(client.campaign.listCampaigns, {companyId}))`. */
export async function* pages<Q extends {pageToken?: string | undefined}, T>(
    list: (request: Q, options?: CallOptions) => Promise<{items: T[]; nextPageToken?: string | undefined}>, request: Q,
    options?: CallOptions): AsyncGenerator<T, void, undefined> {
    let pageToken: string | undefined;
    do {
        const page = await list({...request, pageToken}, options);
        yield* page.items;
        pageToken = page.nextPageToken;
    } while (pageToken);
}

/** The messages of an upload: the fields of the first one, then the file in pieces. file: its bytes, or a stream of them. */
export async function* pieces<F extends object>(fields: F, file: Uint8Array | AsyncIterable<Uint8Array>): AsyncGenerator<F & {chunk?: Buffer}> {
    const pieceBytes = 64 * 1024;
    yield fields;
    for await (const part of file instanceof Uint8Array ? [file] : file)
        for (let at = 0; at < part.length; at += pieceBytes)
            yield {chunk: Buffer.from(part.subarray(at, at + pieceBytes))} as F & {chunk: Buffer};
}
