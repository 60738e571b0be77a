import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.Scanner;
import org.eclipse.californium.core.CoapClient;
import org.eclipse.californium.core.CoapResource;
import org.eclipse.californium.core.CoapResponse;
import org.eclipse.californium.core.CoapServer;
import org.eclipse.californium.core.config.CoapConfig;
import org.eclipse.californium.core.network.CoapEndpoint;
import org.eclipse.californium.core.server.resources.CoapExchange;
import org.eclipse.californium.core.server.resources.Resource;
import org.eclipse.californium.elements.DtlsEndpointContext;
import org.eclipse.californium.elements.EndpointContext;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.elements.util.StringUtil;
import org.eclipse.californium.scandium.DTLSConnector;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.californium.scandium.config.DtlsConnectorConfig;
import org.eclipse.californium.scandium.dtls.cipher.CipherSuite;
import org.eclipse.californium.scandium.dtls.pskstore.AdvancedSinglePskStore;

/**
 * CoAP over Scandium with Connection IDs: `server PORT IDENTITY KEYHEX SUITE` or `client URI IDENTITY KEYHEX SUITE`.
 * A client sends one GET for each line it reads. Every exchange prints one line with the Connection IDs of its session.
 */
public final class ScandiumPeer {
  public static void main(String[] args) throws Exception {
    DtlsConfig.register();
    CoapConfig.register();
    boolean isServer = args[0].equals("server");
    CoapEndpoint endpoint = endpoint(isServer ? Integer.parseInt(args[1]) : 0, args[2], args[3], args[4]);
    if (isServer) serve(endpoint);
    else ask(endpoint, args[1]);
  }

  private static CoapEndpoint endpoint(int port, String identity, String keyHex, String suite) {
    Configuration configuration = Configuration.createStandardWithoutFile();
    configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, 5);
    configuration.set(DtlsConfig.DTLS_RECOMMENDED_CIPHER_SUITES_ONLY, false);
    configuration.setAsList(DtlsConfig.DTLS_CIPHER_SUITES, CipherSuite.getTypeByName(suite));
    DtlsConnectorConfig.Builder dtls = DtlsConnectorConfig.builder(configuration);
    dtls.setAddress(new InetSocketAddress("127.0.0.1", port));
    dtls.setAdvancedPskStore(new AdvancedSinglePskStore(identity, StringUtil.hex2ByteArray(keyHex)));
    return CoapEndpoint.builder()
        .setConfiguration(configuration)
        .setConnector(new DTLSConnector(dtls.build()))
        .build();
  }

  private static void serve(CoapEndpoint endpoint) {
    CoapServer server = new CoapServer(Configuration.createStandardWithoutFile()) {
      @Override
      protected Resource createRoot() {
        return new CoapResource("") {
          @Override
          public void handleGET(CoapExchange exchange) {
            System.out.println("asked " + ids(exchange.advanced().getRequest().getSourceContext()));
            exchange.respond("scandium");
          }
        };
      }
    };
    server.addEndpoint(endpoint);
    server.start();
    System.out.println("ready");
  }

  private static void ask(CoapEndpoint endpoint, String uri) throws Exception {
    CoapClient client = new CoapClient(uri);
    client.setEndpoint(endpoint);
    client.setTimeout(10_000L);
    System.out.println("ready");
    for (Scanner lines = new Scanner(System.in, StandardCharsets.UTF_8); lines.hasNextLine(); lines.nextLine()) {
      CoapResponse response = client.get();
      System.out.println(
          response == null
              ? "no answer"
              : "answer " + response.getResponseText().trim() + " " + ids(response.advanced().getSourceContext()));
    }
    System.exit(0);
  }

  private static String ids(EndpointContext context) {
    return "read "
        + context.get(DtlsEndpointContext.KEY_READ_CONNECTION_ID)
        + " write "
        + context.get(DtlsEndpointContext.KEY_WRITE_CONNECTION_ID);
  }
}
