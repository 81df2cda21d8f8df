// Dialplane from TypeScript: typed functions over gRPC with deadlines, retries where they are safe, pages, and streams that resume.
export {status as Code} from "@grpc/grpc-js";

export {Client, clientAt, pages, pieces, type Call, type CallOptions, type ClientOptions, type Services} from "./client.js";
export * from "./errors.js";
export {Stream} from "./stream.js";
export * as messages from "../generated/messages.js";
